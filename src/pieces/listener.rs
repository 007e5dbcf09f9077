//! The owner of the process that listens on a loopback port, where the system reports it.

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The owner of a listening process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This user or root, who can read everything anyway.
    Ours,
    /// Another user, by id.
    Other(u32),
    /// Only Linux reports it, and not for listeners outside this network namespace.
    Unknown,
}

/// Only a system with a hundred thousand sockets exceeds this.
const TABLE: u64 = 32 << 20;
/// The state of a listening socket.
const LISTENING: &str = "0A";

/// The owner of the process that receives connections to this port of 127.0.0.1.
pub(crate) async fn owner(port: u16) -> Owner {
    of(&users(Ipv4Addr::LOCALHOST.into(), port).await, us())
}

/// The user of the process that receives connections to this address, if it is another user and no system account
/// (below 1000).
pub(crate) async fn foreign_user(address: IpAddr, port: u16) -> Option<u32> {
    let (users, us) = (users(address, port).await, us());
    users.into_iter().find(|uid| *uid != us && *uid >= 1000)
}

/// The users whose sockets accept connections to this address. Empty where the system does not report it.
async fn users(address: IpAddr, port: u16) -> Vec<u32> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    let looking = tokio::task::spawn_blocking(move || {
        let table = |name: &str| {
            let mut text = String::new();
            let file = std::fs::File::open(name);
            let read = file.and_then(|file| file.take(TABLE).read_to_string(&mut text));
            read.map(|_| text).unwrap_or_default()
        };
        let (tcp, tcp6) = (table("/proc/net/tcp"), table("/proc/net/tcp6"));
        listeners(&tcp, &tcp6, address, port)
    });
    looking.await.unwrap_or_default()
}

fn us() -> u32 {
    #[cfg(unix)]
    return rustix::process::geteuid().as_raw();
    #[cfg(not(unix))]
    return u32::MAX;
}

fn of(listeners: &[u32], us: u32) -> Owner {
    let other = listeners.iter().find(|uid| **uid != us && **uid != 0);
    match (other, listeners.is_empty()) {
        (Some(uid), _) => Owner::Other(*uid),
        (None, false) => Owner::Ours,
        (None, true) => Owner::Unknown,
    }
}

/// The users in these tables whose sockets accept connections to this address.
fn listeners(tcp: &str, tcp6: &str, address: IpAddr, port: u16) -> Vec<u32> {
    let of = |table: &str, reachable: &dyn Fn(&str) -> bool| -> Vec<u32> {
        let rows = table.lines().skip(1).filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().take(8).collect();
            let (address, its_port) = fields.get(1)?.split_once(':')?;
            let listens = *fields.get(3)? == LISTENING
                && u16::from_str_radix(its_port, 16) == Ok(port)
                && reachable(address);
            listens.then(|| fields.get(7)?.parse().ok())?
        });
        rows.collect()
    };
    const NONE: [u8; 4] = [0; 4];
    let reached = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => {
            let last = |last: &[u8; 4]| [NONE, [0, 0, 0, 1]].contains(last);
            return of(
                tcp6,
                &|address| matches!(words(address).as_deref(), Some([a, b, c, d]) if [*a, *b, *c] == [NONE; 3] && last(d)),
            );
        }
        IpAddr::V6(_) => return Vec::new(),
    };
    let found = of(
        tcp,
        &|address| matches!(words(address).as_deref(), Some([one]) if [NONE, reached].contains(one)),
    );
    if !found.is_empty() {
        return found;
    }
    // A socket that listens on all addresses of both families.
    of(tcp6, &|address| match words(address).as_deref() {
        Some([a, b, c, d]) if [*a, *b] == [NONE; 2] => {
            (*c == NONE && *d == NONE) || (*c == [0, 0, 255, 255] && [NONE, reached].contains(d))
        }
        _ => false,
    })
}

/// The bytes of an address, which the kernel prints as words in its own byte order.
fn words(address: &str) -> Option<Vec<[u8; 4]>> {
    let words = address.as_bytes().chunks(8).map(|word| {
        let word = u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok()?;
        Some(word.to_ne_bytes())
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    /// Rows as the kernel prints them on this machine.
    fn table(rows: &[(&[[u8; 4]], u16, &str, u32)]) -> String {
        let row = |(address, port, state, uid): &(&[[u8; 4]], u16, &str, u32)| {
            let words = address
                .iter()
                .map(|word| format!("{:08X}", u32::from_ne_bytes(*word)));
            let address: String = words.collect();
            format!(
                "   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  {uid}        0 12345 1 0000000000000000 100 0 0 10 0\n"
            )
        };
        HEAD.to_owned() + &rows.iter().map(row).collect::<String>()
    }

    #[test]
    fn listeners_that_a_connection_to_loopback_reaches() {
        const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
        const ANY: [u8; 4] = [0; 4];
        const MAPPED: [u8; 4] = [0, 0, 255, 255];
        let tcp = table(&[
            (&[LOOPBACK], 1, "0A", 1000),
            (&[LOOPBACK], 1, "01", 1001),
            (&[ANY], 2, "0A", 1002),
            (&[[127, 0, 0, 2]], 3, "0A", 1003),
            (&[[192, 0, 2, 1]], 3, "0A", 1003),
        ]);
        let tcp6 = table(&[
            (&[ANY, ANY, ANY, ANY], 1, "0A", 1004),
            (&[ANY, ANY, ANY, ANY], 4, "0A", 1005),
            (&[ANY, ANY, MAPPED, LOOPBACK], 5, "0A", 1006),
            (&[ANY, ANY, ANY, [0, 0, 0, 1]], 6, "0A", 1007),
        ]);
        let expected: [(u16, &[u32]); 7] = [
            (1, &[1000]),
            (2, &[1002]),
            (3, &[]),
            (4, &[1005]),
            (5, &[1006]),
            // [::1] only.
            (6, &[]),
            (7, &[]),
        ];
        let reached = IpAddr::from(LOOPBACK);
        for (port, uids) in expected {
            assert_eq!(listeners(&tcp, &tcp6, reached, port), uids, "{port}");
        }
        let other = IpAddr::from([127, 0, 0, 2]);
        for (port, uids) in [(1, &[1004][..]), (2, &[1002]), (3, &[1003]), (5, &[])] {
            assert_eq!(listeners(&tcp, &tcp6, other, port), uids, "{port}");
        }
        let six = IpAddr::from(Ipv6Addr::LOCALHOST);
        for (port, uids) in [(1, &[1004][..]), (2, &[]), (5, &[]), (6, &[1007])] {
            assert_eq!(listeners(&tcp, &tcp6, six, port), uids, "{port}");
        }
        for broken in ["", "x", HEAD, "\n: 0A\n\n", &"1 2:3 4 0A 5 6 7\n".repeat(3)] {
            assert_eq!(listeners(broken, broken, reached, 1), [0; 0], "{broken}");
        }
    }

    #[test]
    fn owners() {
        for (listeners, owner) in [
            (&[][..], Owner::Unknown),
            (&[1000], Owner::Ours),
            (&[0], Owner::Ours),
            (&[999], Owner::Other(999)),
            (&[1000, 1001], Owner::Other(1001)),
        ] {
            assert_eq!(of(listeners, 1000), owner, "{listeners:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn our_own_listener_is_ours() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(owner(port).await, Owner::Ours);
        drop(listener);
        assert_eq!(owner(port).await, Owner::Unknown);
    }
}
