//! Every deadline and size limit of this module, each with its reason.
