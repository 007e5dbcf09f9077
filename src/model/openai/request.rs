//! Sends a question: once, and a second time only if a 400 refuses its form.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::refusal::{Objection, Refusal};
use super::{Asking, failed};
use crate::model::http::{self, Reply};
use crate::model::{Error, Message, Request, Role, choice};

/// Options that not all servers accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    /// Ask for the count of tokens.
    usage: bool,
    /// Send the instructions as a system message.
    system: bool,
}

/// Sends the question; the reply is a 200 with an answer of some kind.
pub(super) async fn send(asking: &Asking, until: Instant) -> Result<Reply, Error> {
    let key = asking.key.as_ref();
    let mut form = Form {
        usage: true,
        system: true,
    };
    let mut last = asking.request.last;
    loop {
        let body = body(&asking.request, form).to_string().into_bytes();
        let reply = http::send(&asking.url, key, Some(body), until).await;
        let reply = reply.map_err(|failure| failed(&failure, &asking.url))?;
        if reply.status.is_success() {
            return Ok(reply);
        }
        let refusal = Refusal::read(reply, key).await;
        if refusal.status == 401 {
            choice::forget(&asking.endpoint);
        }
        let first = asking.request.messages.first();
        let has_system = first.is_some_and(|one| one.role != Role::User);
        match refusal.objection() {
            Some(Objection::Usage) if !last => form.usage = false,
            Some(Objection::System) if !last && has_system => form.system = false,
            _ => return Err(refusal.error(&asking.url, key, last)),
        }
        last = true;
    }
}

fn body(request: &Request, form: Form) -> Value {
    let messages = match form.system {
        true => request.messages.clone(),
        false => without_system(&request.messages),
    };
    let messages: Vec<Value> = messages
        .iter()
        .map(|one| json!({"role": role(one.role), "content": one.text}))
        .collect();
    let mut body = json!({"model": request.model, "stream": true, "messages": messages});
    if form.usage {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// Moves everything before the first user message, such as the instructions, into that message: strict servers require
/// the user first.
fn without_system(messages: &[Message]) -> Vec<Message> {
    let user = messages.iter().position(|one| one.role == Role::User);
    let (before, rest) = messages.split_at(user.unwrap_or(messages.len()));
    let texts = before
        .iter()
        .chain(rest.first())
        .map(|one| one.text.as_str());
    let first = Message {
        role: Role::User,
        text: texts.collect::<Vec<_>>().join("\n\n"),
    };
    std::iter::once(first)
        .chain(rest.iter().skip(1).cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_a_question() {
        let message = |role, text: &str| Message {
            role,
            text: text.to_owned(),
        };
        let request = Request {
            model: "m".to_owned(),
            messages: vec![message(Role::System, "s"), message(Role::User, "q")],
            last: false,
        };
        let form = |usage, system| body(&request, Form { usage, system });
        assert_eq!(
            form(true, true),
            json!({"model": "m", "stream": true, "stream_options": {"include_usage": true}, "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "q"}
            ]})
        );
        assert_eq!(
            form(false, false),
            json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "s\n\nq"}]})
        );
    }
}
