//! What the kernel says about a process. All zeros where there is no `/proc`.

use std::fs;

/// A figure of `/proc/PID/status` in kB, such as `VmRSS` or `VmHWM`.
pub fn memory(pid: u32, name: &str) -> u64 {
    figure(&format!("/proc/{pid}/status"), name)
}

/// Makes `VmHWM` start anew from what is resident now.
pub fn forget_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// How often a thread of the process was put on a CPU.
pub fn wake_ups(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0;
    };
    tasks
        .filter_map(Result::ok)
        .map(|task| {
            let status = task.path().join("status").display().to_string();
            figure(&status, "voluntary_ctxt_switches")
                + figure(&status, "nonvoluntary_ctxt_switches")
        })
        .sum()
}

fn figure(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    value.unwrap_or(0)
}
