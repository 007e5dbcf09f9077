//! Picks the model of an endpoint that answers, and its context size.

use super::{Choice, Endpoint, Error, Model, prompt::Prompt};

/// The model that will answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Its name.
    pub model: String,
    /// Its context size in tokens.
    pub context: u32,
}

/// Lists the models, picks one and determines its context size. An endpoint without a list is asked with the name that
/// the user gave.
///
/// # Errors
/// Those of [`Endpoint::models`] and [`pick_model`].
pub async fn prepare(
    endpoint: &dyn Endpoint,
    choice: &Choice,
    wanted: Option<&str>,
) -> Result<Ready, Error> {
    let listed = match endpoint.models().await {
        Ok(listed) => listed,
        // It has no list, which is fine if the user named a model.
        Err(error) if matches!(error.status, Some(200 | 404 | 405 | 501)) => {
            let named = wanted.or(choice.model.as_deref());
            return match named {
                Some(model) => Ok(Ready {
                    model: model.to_owned(),
                    context: context_size(choice, model, &[]),
                }),
                None => Err(error),
            };
        }
        Err(error) => return Err(error),
    };
    let model = pick_model(wanted, choice, &listed)?;
    let context = context_size(choice, &model, &listed);
    Ok(Ready { model, context })
}

/// The model that answers: the `wanted` one, else that of the choice, else the one that is loaded, the only one, or on
/// loopback the first by name that is not for embeddings.
///
/// # Errors
/// [`super::Kind::NoModel`]: the name is not listed (with the nearest ones), or a remote endpoint needs a name.
pub fn pick_model(
    wanted: Option<&str>,
    choice: &Choice,
    listed: &[Model],
) -> Result<String, Error> {
    let url = &choice.url;
    if let Some(name) = wanted.or(choice.model.as_deref()) {
        return named(name, listed).ok_or_else(|| {
            Error::no_model(format!(
                "The endpoint {url} has no model `{}`{}; `pieces-lsp model list` shows all of them.",
                shortened(name),
                nearest(name, listed)
            ))
        });
    }
    let mut usable: Vec<&Model> = listed.iter().filter(|model| talks(&model.id)).collect();
    usable.sort_by(|a, b| a.id.cmp(&b.id));
    let loaded = usable.iter().find(|model| model.loaded == Some(true));
    let only = usable
        .first()
        .filter(|_| usable.len() == 1 || url.is_loopback());
    let picked = loaded.or(only).map(|model| model.id.clone());
    picked.ok_or_else(|| match usable.is_empty() {
        true => Error::no_model(format!(
            "The endpoint {url} has no model; load one there, then ask again."
        )),
        false => Error::no_model(format!(
            "The endpoint {url} has {} models; choose one with `pieces-lsp model use URL --model NAME` (`pieces-lsp model list` shows them).",
            usable.len()
        )),
    })
}

/// The listed model of that name. Ollama's names may lack `:latest`. With an empty list every name is accepted.
fn named(name: &str, listed: &[Model]) -> Option<String> {
    let latest = format!("{name}:latest");
    let find = |name: &str| listed.iter().find(|model| model.id == name);
    match find(name).or_else(|| find(&latest)) {
        Some(model) => Some(model.id.clone()),
        None => listed.is_empty().then(|| name.to_owned()),
    }
}

/// Whether the model generates text, by its name.
fn talks(id: &str) -> bool {
    let id = id.to_lowercase();
    let silent = ["embed", "rerank", "bge-", "minilm", "whisper"];
    !silent.iter().any(|word| id.contains(word))
}

/// `, the nearest is …`, or an empty text.
fn nearest(name: &str, listed: &[Model]) -> String {
    let wanted = shortened(name).to_lowercase();
    let mut near: Vec<(usize, &str)> = listed
        .iter()
        .map(|model| {
            (
                distance(&wanted, &shortened(&model.id).to_lowercase()),
                &*model.id,
            )
        })
        .collect();
    near.sort();
    let names: Vec<String> = near
        .iter()
        .take(3)
        .map(|(_, id)| format!("`{}`", shortened(id)))
        .collect();
    match &*names {
        [] => String::new(),
        [name] => format!(", the nearest is {name}"),
        names => format!(", the nearest are {}", names.join(", ")),
    }
}

fn shortened(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// How many characters differ (Levenshtein), less if one contains the other.
fn distance(a: &str, b: &str) -> usize {
    let b_chars: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b_chars.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b_chars.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    let distance = row[b_chars.len()];
    let contained = !a.is_empty() && (b.contains(a) || a.contains(b));
    if contained { distance / 4 } else { distance }
}

/// Context size in tokens: that of the choice, else what the endpoint reports, else 8,192 on loopback and 128,000
/// elsewhere.
pub fn context_size(choice: &Choice, model: &str, listed: &[Model]) -> u32 {
    let reported = listed.iter().find(|one| one.id == model);
    let usual = if choice.url.is_loopback() {
        8_192
    } else {
        128_000
    };
    let known = choice.context.or(reported.and_then(|one| one.context));
    known.unwrap_or(usual)
}

/// Whether the endpoint silently cut a prompt: it reported far fewer prompt tokens than were estimated, and fewer
/// than tokenizers make of such a text: of some languages they make far fewer than is estimated.
pub fn was_cut(prompt: &Prompt, reported: u32) -> bool {
    reported < prompt.tokens / 2 && reported < prompt.least_tokens()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EndpointUrl, prompt};
    use crate::pieces::PlainHttp;

    fn choice(url: &str, model: Option<&str>) -> Choice {
        Choice {
            model: model.map(str::to_owned),
            ..Choice::plain(
                EndpointUrl::parse(url, PlainHttp::Loopback).unwrap(),
                PlainHttp::Loopback,
            )
        }
    }

    fn models(ids: &[&str]) -> Vec<Model> {
        let model = |id: &&str| Model {
            id: id.trim_start_matches('*').to_owned(),
            context: None,
            loaded: id.starts_with('*').then_some(true),
        };
        ids.iter().map(model).collect()
    }

    const HERE: &str = "http://127.0.0.1:1/v1";
    const THERE: &str = "https://example.com/v1";

    #[test]
    fn which_model_answers() {
        type Row<'a> = (
            &'a str,
            Option<&'a str>,
            Option<&'a str>,
            &'a [&'a str],
            Option<&'a str>,
        );
        let table: &[Row] = &[
            (HERE, Some("b"), Some("a"), &["a", "b"], Some("b")),
            (HERE, None, Some("a"), &["b", "a"], Some("a")),
            (HERE, None, None, &["b", "a"], Some("a")),
            (HERE, None, None, &["a", "*b"], Some("b")),
            (HERE, None, None, &["*a-embed-text", "b", "c"], Some("b")),
            (HERE, None, None, &["nomic-embed-text"], None),
            (HERE, None, None, &[], None),
            (HERE, Some("x"), None, &["a"], None),
            (HERE, Some("x"), None, &[], Some("x")),
            (
                HERE,
                Some("llama3.2"),
                None,
                &["llama3.2:latest"],
                Some("llama3.2:latest"),
            ),
            (HERE, Some("Llama3.2"), None, &["llama3.2:latest"], None),
            (THERE, None, None, &["a", "b"], None),
            (THERE, None, None, &["a"], Some("a")),
            (THERE, None, Some("b"), &["a", "b"], Some("b")),
        ];
        for (url, wanted, chosen, listed, expected) in table {
            let got = pick_model(*wanted, &choice(url, *chosen), &models(listed));
            assert_eq!(
                got.as_ref().ok().map(String::as_str),
                *expected,
                "{url} {wanted:?} {listed:?}: {got:?}"
            );
        }
    }

    #[test]
    fn a_name_that_is_not_listed_is_answered_with_the_nearest() {
        let listed = models(&["gpt-4o", "gpt-4o-mini", "o3", "text-embedding-3", "gpt-5.1"]);
        let error = pick_model(Some("gpt4o"), &choice(THERE, None), &listed).unwrap_err();
        assert!(
            error.message.contains("the nearest are `gpt-4o`, "),
            "{error}"
        );
        let long = "x".repeat(1 << 20);
        let error = pick_model(Some(&long), &choice(THERE, None), &listed).unwrap_err();
        assert!(error.message.len() < 500, "{error}");
    }

    #[test]
    fn context_sizes() {
        let mut listed = models(&["a", "b"]);
        listed[0].context = Some(2048);
        let mut choice = choice(HERE, None);
        assert_eq!(context_size(&choice, "a", &listed), 2048);
        assert_eq!(context_size(&choice, "b", &listed), 8_192);
        choice.url = EndpointUrl::parse(THERE, PlainHttp::Loopback).unwrap();
        assert_eq!(context_size(&choice, "b", &listed), 128_000);
        choice.context = Some(7);
        assert_eq!(context_size(&choice, "a", &listed), 7);
    }

    #[test]
    fn a_cut_prompt_is_detected() {
        let check = |text: &str, repeated: usize, reported: u32, expected: bool| {
            let prompt = prompt::build(&[], None, &[], &text.repeat(repeated), 1 << 20);
            assert_eq!(was_cut(&prompt, reported), expected, "{text:?} {reported}");
        };
        check("why", 1, 1, false);
        check("some words ", 3_000, 4_096, true);
        check("some words ", 3_000, 6_000, false);
        check("    self.retries += 1;\n", 2_000, 4_096, true);
        check("    self.retries += 1;\n", 2_000, 14_000, false);
        check(&"x".repeat(7), 10_000, 2_051, true);
        // About 2.5 to 4 characters of these are a token of recent models.
        check("Почему это не работает? ", 1_000, 5_500, false);
        check("Почему это не работает? ", 1_000, 2_051, true);
        check("لماذا لا يعمل هذا؟ ", 1_000, 5_000, false);
        check("लेखन क्यों नहीं होता? ", 1_000, 5_000, false);
        check("どうして動かないのですか。", 1_000, 6_000, false);
        check("どうして動かないのですか。", 1_000, 2_051, true);
        check("为什么它不能正常工作？", 1_000, 6_000, false);
        check("为什么它不能正常工作？", 1_000, 2_051, true);
    }
}
