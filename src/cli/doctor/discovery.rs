//! Where Pieces OS was looked for, and what was found.

use super::report::Check;
use crate::cli::common::{Target, printable};
use crate::pieces::{BaseUrl, Client, Discovery, Error, Kind, Place, Seen};
use crate::service;
use crate::sync::{Backend, may_use_unknown};
use serde_json::{Value, json};
use std::time::Instant;

const NAME: &str = "discovery";

/// Looks for Pieces OS as the language server does; returns its base URL if found.
pub(super) async fn check(target: &Target) -> (Check, Option<BaseUrl>) {
    if target.backend == Backend::Local {
        return (
            Check::skipped(NAME, "not needed with backend `local`"),
            None,
        );
    }
    let started = Instant::now();
    let (check, found) = match &target.url {
        Some(url) => explicit(target, url).await,
        None => searched(target, &Discovery::standard()).await,
    };
    (check.took(started.elapsed()), found)
}

/// The user gave a URL.
async fn explicit(target: &Target, url: &BaseUrl) -> (Check, Option<BaseUrl>) {
    let answer = match Client::new(url.clone(), None) {
        Ok(client) => client.health().await.map(drop),
        Err(error) => Err(error),
    };
    let seen = match &answer {
        Err(error) if matches!(error.kind, Kind::Offline | Kind::Timeout) => Err(error),
        // Any response will do: an explicit URL is used even without a health route.
        _ => Ok(()),
    };
    let candidate = |found: &str| json!([{"url": url.as_str(), "found": found}]);
    match seen {
        Ok(()) => {
            let check = Check::ok(NAME, format!("{url} answers, as given"));
            (
                check.fact("candidates", candidate("answer")),
                Some(url.clone()),
            )
        }
        Err(error) => {
            let check = missing(target, format!("{url} does not answer"), error);
            (check.fact("candidates", candidate("nothing")), None)
        }
    }
}

async fn searched(target: &Target, discovery: &Discovery) -> (Check, Option<BaseUrl>) {
    let places = discovery.survey().await.unwrap_or_default();
    let check = match discovery.find().await {
        Ok(found) => {
            let used =
                found.is_ours || target.backend != Backend::Auto || trusts_unknown(target).await;
            taken(found.client_base, used)
        }
        Err(error) => {
            let several = places
                .iter()
                .filter(|(_, seen)| matches!(seen, Seen::PiecesOs(_)));
            let summary = match several.count() {
                0 => "no Pieces OS on this machine",
                _ => "several Pieces OS on this machine",
            };
            (missing(target, summary.to_owned(), &error), None)
        }
    };
    let (check, found) = check;
    let candidates: Vec<Value> = places.iter().map(candidate).collect();
    let check = check
        .fact("candidates", candidates)
        .with_details(lines(&places));
    (check, found)
}

/// Whether `auto` uses a Pieces OS whose owner is unknown.
async fn trusts_unknown(target: &Target) -> bool {
    match &target.data_dir {
        Some(dir) => may_use_unknown(dir).await,
        None => match service::default_data_dir() {
            Ok(dir) => may_use_unknown(&dir).await,
            Err(_) => true,
        },
    }
}

/// The result if Pieces OS was found; `used`: whether the language server uses it.
fn taken(url: BaseUrl, used: bool) -> (Check, Option<BaseUrl>) {
    if used {
        return (Check::ok(NAME, format!("Pieces OS is at {url}")), Some(url));
    }
    let summary = format!(
        "{url} responds like Pieces OS, but the system does not report the owner of the program; the local service, which has conversations, is used until you choose otherwise"
    );
    (Check::note(NAME, summary), None)
}

/// The result if Pieces OS was not found. With `auto`, the local service is used instead.
fn missing(target: &Target, summary: String, error: &Error) -> Check {
    match target.backend {
        Backend::Auto => Check::note(NAME, format!("{summary}; the local service is used")),
        _ => Check::failed(NAME, summary, &error.message),
    }
}

fn candidate((place, seen): &(Place, Seen)) -> Value {
    let found = match seen {
        Seen::NoFile => "no-file",
        Seen::NoPort => "no-port",
        Seen::Closed => "closed",
        Seen::Silent => "silent",
        Seen::Stranger => "stranger",
        Seen::OtherUser(_) => "other-user",
        Seen::LocalService => "local-service",
        Seen::PiecesOs(_) => "pieces-os",
    };
    match place {
        Place::File(path, port) => {
            json!({"file": path.display().to_string(), "port": port, "found": found})
        }
        Place::Port(port) => json!({"port": port, "found": found}),
    }
}

/// One line for each file, and for each range of ports with the same result.
fn lines(places: &[(Place, Seen)]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut runs: Vec<(u16, u16, &Seen)> = Vec::new();
    for (place, seen) in places {
        match place {
            Place::File(path, port) => {
                let port = port
                    .map(|port| format!(" (port {port})"))
                    .unwrap_or_default();
                lines.push(format!("{}{port}: {}", path.display(), why(seen)));
            }
            Place::Port(port) => match runs.last_mut() {
                Some((_, last, same)) if *same == seen && last.checked_add(1) == Some(*port) => {
                    *last = *port;
                }
                _ => runs.push((*port, *port, seen)),
            },
        }
    }
    lines.extend(runs.iter().map(|(first, last, seen)| match first == last {
        true => format!("port {first}: {}", why(seen)),
        false => format!("ports {first} to {last}: {}", why(seen)),
    }));
    lines
}

fn why(seen: &Seen) -> String {
    match seen {
        Seen::NoFile => "no such file".into(),
        Seen::NoPort => "contains no port".into(),
        Seen::Closed => "nothing listens".into(),
        Seen::Silent => "a program listens but does not respond".into(),
        Seen::Stranger => "another program".into(),
        Seen::OtherUser(uid) => {
            format!(
                "a program of another user (id {uid}) that responds like Pieces OS; it is not used"
            )
        }
        Seen::LocalService => "a local service of pieces-lsp, not Pieces OS".into(),
        Seen::PiecesOs(health) => format!("Pieces OS, {}", printable(health)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::report::Verdict;

    #[test]
    fn pieces_os_of_an_unknown_user_is_named_and_not_used() {
        let url = BaseUrl::loopback(39300);
        let (check, used) = taken(url.clone(), true);
        assert_eq!((check.result, used), (Verdict::Ok, Some(url.clone())));
        let (check, used) = taken(url, false);
        assert_eq!((check.result, used), (Verdict::Note, None));
        assert!(
            check.summary.contains("does not report the owner"),
            "{}",
            check.summary
        );
    }

    #[test]
    fn ports_with_the_same_answer_share_a_line() {
        let places = [
            (Place::File("/a".into(), None), Seen::NoFile),
            (Place::File("/b".into(), Some(7)), Seen::Closed),
            (Place::Port(1), Seen::Closed),
            (Place::Port(2), Seen::Closed),
            (Place::Port(3), Seen::PiecesOs("ok:\u{1b}[1m1".into())),
            (Place::Port(4), Seen::Closed),
            (Place::Port(6), Seen::Closed),
        ];
        let expected = [
            "/a: no such file",
            "/b (port 7): nothing listens",
            "ports 1 to 2: nothing listens",
            "port 3: Pieces OS, ok:[1m1",
            "port 4: nothing listens",
            "port 6: nothing listens",
        ];
        assert_eq!(lines(&places), expected);
    }
}
