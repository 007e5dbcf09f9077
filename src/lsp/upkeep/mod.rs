//! What happens without a request: notifications, refreshes, configuration, offers.

pub(crate) mod live;
pub(crate) mod offers;
