//! Returns freed memory to the system.
//!
//! Reading a large list takes several times the memory of the result, rendering the document of a growing answer takes
//! new memory each time, and the allocator of glibc keeps freed memory in one heap per thread for later use.

/// Makes all threads share one heap, because [`give_back`] can empty only that one. To be called before
/// there are threads.
pub fn share_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "there is no safe way to say it")]
    // SAFETY: it sets a number in the allocator, and there is no other thread yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Returns freed memory to the system. Takes milliseconds, during which other threads may have to wait.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "there is no safe way to ask for it")]
    // SAFETY: it takes no pointers, touches only what is free, and takes the locks of the allocator.
    unsafe {
        libc::malloc_trim(0);
    }
}
