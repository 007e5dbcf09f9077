//! The owner of the process that listens on a loopback port, where the system reports it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
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

/// Bytes of a table. Only a system with two hundred thousand sockets has more.
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
        let table = |name: &str| -> Box<dyn BufRead> {
            match File::open(name) {
                Ok(file) => Box::new(BufReader::new(file.take(TABLE))),
                Err(_) => Box::new(io::empty()),
            }
        };
        let (tcp, tcp6) = (table("/proc/net/tcp"), table("/proc/net/tcp6"));
        listeners(tcp, tcp6, address, port)
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
fn listeners(tcp: impl BufRead, tcp6: impl BufRead, address: IpAddr, port: u16) -> Vec<u32> {
    let users = |sockets: Vec<Socket>, reachable: &dyn Fn(&[[u8; 4]]) -> bool| -> Vec<u32> {
        let reached = sockets.iter().filter(|one| reachable(&one.address));
        reached.map(|one| one.uid).collect()
    };
    const NONE: [u8; 4] = [0; 4];
    const ANY: [[u8; 4]; 4] = [NONE; 4];
    let reached = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => {
            return users(listening(tcp6, port), &|address| {
                [ANY, [NONE, NONE, NONE, [0, 0, 0, 1]]]
                    .iter()
                    .any(|one| one == address)
            });
        }
        IpAddr::V6(_) => return Vec::new(),
    };
    let found = users(listening(tcp, port), &|address| {
        [[NONE], [reached]].iter().any(|one| one == address)
    });
    if !found.is_empty() {
        return found;
    }
    // A socket that listens on all addresses of both families.
    const MAPPED: [u8; 4] = [0, 0, 255, 255];
    users(listening(tcp6, port), &|address| {
        [
            ANY,
            [NONE, NONE, MAPPED, NONE],
            [NONE, NONE, MAPPED, reached],
        ]
        .iter()
        .any(|one| one == address)
    })
}

/// A socket that listens on a port.
struct Socket {
    address: Vec<[u8; 4]>,
    uid: u32,
}

/// The sockets in a table that listen on this port. Linux lists listening sockets before all others, and the others can
/// be megabytes: they are read only as long as none was found.
fn listening(table: impl BufRead, port: u16) -> Vec<Socket> {
    let mut found = Vec::new();
    for line in table.lines().map_while(Result::ok).skip(1) {
        let fields: Vec<&str> = line.split_ascii_whitespace().take(8).collect();
        if fields.get(3) == Some(&LISTENING) {
            found.extend(socket(&fields, port));
        } else if !found.is_empty() {
            break;
        }
    }
    found
}

fn socket(fields: &[&str], port: u16) -> Option<Socket> {
    let (address, its_port) = fields.get(1)?.split_once(':')?;
    if u16::from_str_radix(its_port, 16) != Ok(port) {
        return None;
    }
    Some(Socket {
        address: words(address)?,
        uid: fields.get(7)?.parse().ok()?,
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
            assert_eq!(
                listeners(tcp.as_bytes(), tcp6.as_bytes(), reached, port),
                uids,
                "{port}"
            );
        }
        let other = IpAddr::from([127, 0, 0, 2]);
        for (port, uids) in [(1, &[1004][..]), (2, &[1002]), (3, &[1003]), (5, &[])] {
            assert_eq!(
                listeners(tcp.as_bytes(), tcp6.as_bytes(), other, port),
                uids,
                "{port}"
            );
        }
        let six = IpAddr::from(Ipv6Addr::LOCALHOST);
        for (port, uids) in [(1, &[1004][..]), (2, &[]), (5, &[]), (6, &[1007])] {
            assert_eq!(
                listeners(tcp.as_bytes(), tcp6.as_bytes(), six, port),
                uids,
                "{port}"
            );
        }
        for broken in ["", "x", HEAD, "\n: 0A\n\n", &"1 2:3 4 0A 5 6 7\n".repeat(3)] {
            assert_eq!(
                listeners(broken.as_bytes(), broken.as_bytes(), reached, 1),
                [0; 0],
                "{broken}"
            );
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
