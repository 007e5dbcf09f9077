//! Protects memory, which has conversations and tokens, from core dumps and from other processes of this user.

/// Makes this process non-dumpable (Linux only).
pub(super) fn keep() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Best effort: it fails only for values that the kernel does not know.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};

    #[test]
    fn there_is_no_core_dump() {
        let before = dumpable_behavior().unwrap();
        super::keep();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
        set_dumpable_behavior(before).unwrap();
    }
}
