//! What the kernel says about a process. All zeros where there is no `/proc`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

/// A figure of `/proc/PID/status` in kB, such as `VmRSS` or `VmHWM`.
pub fn memory(pid: u32, name: &str) -> u64 {
    figure(&format!("/proc/{pid}/status"), name)
}

/// Makes `VmHWM` start anew from what is resident now.
pub fn forget_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// The processor time that a process has used, in steps of 10 ms.
pub fn cpu(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name of the program, in parentheses, may contain anything.
    let fields = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    // User and system time are the 14th and 15th field, in hundredths of a second; two have gone with the name.
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// How often each thread of the process was put on a CPU.
pub fn wake_ups(pid: u32) -> HashMap<OsString, u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().filter_map(Result::ok);
    let count = |path: String| {
        figure(&path, "voluntary_ctxt_switches") + figure(&path, "nonvoluntary_ctxt_switches")
    };
    tasks
        .map(|task| {
            (
                task.file_name(),
                count(task.path().join("status").display().to_string()),
            )
        })
        .collect()
}

fn figure(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    value.unwrap_or(0)
}
