//! Memory that was needed once and is not any more.
//!
//! Reading a large list takes several times what is left of it in the end, and the allocator of glibc
//! keeps what was freed, in one heap for each thread, in case it is needed again.

/// Makes all threads share one heap, the only kind that [`give_back`] can empty. To be called before
/// there are threads.
pub fn share_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "there is no safe way to say it")]
    // SAFETY: it sets a number in the allocator, and there is no other thread yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives what was freed back to the system. Takes milliseconds, for which others may have to wait.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "there is no safe way to ask for it")]
    // SAFETY: it takes no pointers, touches only what is free, and takes the locks of the allocator.
    unsafe {
        libc::malloc_trim(0);
    }
}
