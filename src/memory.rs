//! Memory that was needed once.

/// Gives what was freed back to the system. After a large list that is several times what it left:
/// the allocator of glibc keeps it, in case it is needed again. Takes milliseconds; others may wait for it.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "there is no safe way to ask for it")]
    // SAFETY: it takes no pointers, touches only what is free, and takes the locks of the allocator.
    unsafe {
        libc::malloc_trim(0);
    }
}
