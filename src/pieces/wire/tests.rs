use super::*;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

const ID: &str = "0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10";
const ASSET: &str = "7e000000-0000-4000-8000-000000000055";
const ANCHOR: &str = "9d000000-0000-4000-8000-000000000031";

fn uuid(text: &str) -> Uuid {
    text.parse().unwrap()
}

/// An empty conversation, changed by `with`.
fn conversation_with(
    with: impl FnOnce(&mut Conversation<'static>),
) -> Option<Conversation<'static>> {
    let mut conversation = Conversation {
        id: uuid(ID),
        name: None,
        created: None,
        updated: None,
        favorited: false,
        messages: 0,
        assets: Ids::new(),
        anchors: Ids::new(),
        anchor_paths: vec![],
        application: None,
        answering: None,
    };
    with(&mut conversation);
    Some(conversation)
}

fn check(fields: &str, expected: Option<Conversation<'static>>) {
    let fields = fields
        .replace('\'', "\"")
        .replace("ASSET", ASSET)
        .replace("ANCHOR", ANCHOR);
    let json = format!("{{\"id\":\"{ID}\"{fields}}}");
    assert_eq!(conversation(json.as_bytes()).unwrap(), expected, "{json}");
}

#[test]
fn the_documented_conversation() {
    let json = r#"{"schema":{"migration":20,"semantic":"MAJOR_0_MINOR_0_PATCH_1"},
        "id":"0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10","name":"Retry with jitter","type":"COPILOT",
        "created":{"value":"2026-11-20T09:14:02.118243Z","readable":"3 days ago"},
        "updated":{"value":"2026-11-20T09:20:41.900Z","readable":"3 days ago"},
        "favorited":true,"demo":false,
        "application":{"id":"55f4576b-8be6-4508-bf89-e85f263a083b","name":"OPEN_SOURCE","version":"0.1.0"},
        "messages":{"iterable":[{"id":"a1-01"},{"id":"a1-02"}],"indices":{"a1-01":0,"a1-02":1,"a1-99":-1}},
        "assets":{"iterable":[{"id":"7e000000-0000-4000-8000-000000000055"}]},
        "anchors":{"indices":{"9d000000-0000-4000-8000-000000000031":0}},
        "websites":{"iterable":[],"indices":{}},
        "pipeline":{"conversation":{"contextualized_code_dialog":{}}},
        "score":{"manual":0,"automatic":0}}"#;
    let expected = conversation_with(|c| {
        c.name = Some("Retry with jitter".into());
        c.created = Some(1_795_166_042_118_243);
        c.updated = Some(1_795_166_441_900_000);
        c.favorited = true;
        c.messages = 2;
        c.assets = [uuid(ASSET)].into();
        c.anchors = [uuid(ANCHOR)].into();
        c.application = Some("OPEN_SOURCE".into());
    });
    assert_eq!(conversation(json.as_bytes()).unwrap(), expected);
}

#[test]
fn a_malformed_field_loses_only_itself() {
    let plain = || conversation_with(|_| {});
    let named = |name: &'static str| conversation_with(|c| c.name = Some(name.into()));
    check("", plain());
    let nulls = ",'name':null,'created':null,'updated':null,'favorited':null,'messages':null,'assets':null,'anchors':null,'application':null";
    check(nulls, plain());
    check(&nulls.replace("null", "7"), plain());
    check(&nulls.replace("null", "-1.5"), plain());
    check(&nulls.replace("null", "[[1]]"), plain());
    check(&nulls.replace("null", "{'x':{'id':1}}"), plain());
    check(
        &nulls.replace("'name':null,", "").replace("null", "'text'"),
        plain(),
    );
    check(",'created':{'value':7},'updated':{'value':'soon'}", plain());
    check(",'favorited':'true'", plain());
    check(",'application':{'name':null}", plain());
    check(",'name':'a','name':'b'", named("b"));
    check(",'name':'a\\u0062\\n'", named("ab\n"));
    check(",'name':'\\ud83d'", named("\u{fffd}"));
    check(
        ",'updated':{'value':'1970-01-01T00:00:01Z','value':'1970-01-01T00:00:02Z'}",
        conversation_with(|c| c.updated = Some(2_000_000)),
    );
    check(",'id':'ASSET'", conversation_with(|c| c.id = uuid(ASSET)));
    check(",'id':null", None);
    check(",'id':'a1'", None);
}

#[test]
fn paths_of_inline_anchors() {
    let tied = |paths: &'static [&'static str]| {
        conversation_with(|c| {
            c.anchors = [uuid(ANCHOR)].into();
            c.anchor_paths = paths
                .iter()
                .map(|path| (uuid(ANCHOR), (*path).into()))
                .collect();
        })
    };
    let anchors = |item: &str| format!(",'anchors':{{'iterable':[{{'id':'ANCHOR',{item}}}]}}");
    check(
        &anchors(
            "'reference':{'points':{'iterable':[{'id':'p','reference':{'fullpath':'/a'}},{'fullpath':'C:\\\\b'}]}}",
        ),
        tied(&["/a", "C:\\b"]),
    );
    check(
        &anchors("'points':{'iterable':[{'id':'p','reference':{'fullpath':'/a'}}]}"),
        tied(&["/a"]),
    );
    check(
        &anchors(
            "'points':{'iterable':[{'id':'p','fullpath':'/a'},{'id':'q','fullpath':'/b'}],'indices':{'p':-1}}",
        ),
        tied(&["/b"]),
    );
    check(
        &anchors("'points':{'iterable':[{'id':'p','fullpath':''},{'id':'q'},null]}"),
        tied(&[]),
    );
    check(&anchors("'reference':null,'points':'x'"), tied(&[]));
    let gone = ",'anchors':{'iterable':[{'id':'ANCHOR','points':{'iterable':[{'fullpath':'/a'}]}}],'indices':{'ANCHOR':-1}}";
    check(gone, conversation_with(|_| {}));
}

#[test]
fn anchors_with_their_ties() {
    let json = format!(
        r#"{{"iterable":[{{"id":"{ANCHOR}","type":"FILE","points":{{"iterable":[{{"id":"p1","reference":{{"id":"p1","fullpath":"/home/u/p/src/retry.rs"}}}}]}},
           "assets":{{"iterable":[{{"id":"{ASSET}"}}]}},"conversations":{{"indices":{{"{ID}":0}}}}}},
           {{"id":"not one"}},null,{{"id":"{ID}"}}]}}"#
    );
    let full = Anchor {
        id: uuid(ANCHOR),
        paths: vec!["/home/u/p/src/retry.rs".into()],
        assets: vec![uuid(ASSET)],
        conversations: vec![uuid(ID)],
        updated: None,
    };
    let bare = Anchor {
        id: uuid(ID),
        ..Anchor::default()
    };
    assert_eq!(anchors(json.as_bytes()).unwrap(), Some(vec![full, bare]));
    assert_eq!(anchors(b"{}").unwrap(), None);
    assert!(anchors(b"Route not found").is_err());
}

#[test]
fn identifier_lists() {
    let both = format!(
        r#"{{"iterable":[{{"id":"{ID}"}},{{"id":"{ASSET}"}}],"indices":{{"{ASSET}":-1}}}}"#
    );
    assert_eq!(identifiers(both.as_bytes()).unwrap(), Some(vec![uuid(ID)]));
    let indices = format!(r#"{{"indices":{{"{ASSET}":1,"{ID}":0}}}}"#);
    assert_eq!(identifiers(indices.as_bytes()).unwrap(), None);
    assert_eq!(
        flattened_identifiers(indices.as_bytes()).unwrap(),
        Some(vec![uuid(ID), uuid(ASSET)])
    );
    assert_eq!(flattened_identifiers(b"{}").unwrap(), None);
}

#[test]
fn the_answer_to_from_asset() {
    let json =
        format!(r#"{{"schema":{{}},"conversation":{{"id":"{ID}","reference":{{"name":"x"}}}}}}"#);
    assert_eq!(created_from_asset(json.as_bytes()).unwrap(), Some(uuid(ID)));
    assert_eq!(
        created_from_asset(br#"{"conversation":null}"#).unwrap(),
        None
    );
}

fn reference() -> Value {
    json!({"id": ID, "reference": {"name": "x"}})
}

fn whole_anchor() -> Value {
    let point = json!({"id": ID, "reference": {"id": ID, "fullpath": "/home/u/a.rs"}});
    json!({"id": ID, "type": "FILE", "points": {"iterable": [point]},
        "assets": {"iterable": [{"id": ASSET}], "indices": {ASSET: 0}},
        "conversations": {"indices": {ID: 0}}, "updated": {"value": "2026-11-20T09:20:41.900Z"}})
}

fn item() -> Value {
    json!({"conversation": reference(), "deleted": true, "updated": {"value": "2026-11-20T09:20:41Z"}})
}

/// The malformed item between two valid ones.
fn between(one: &Value, odd: &[u8]) -> Vec<u8> {
    let one = one.to_string();
    [
        b"{\"iterable\":[",
        one.as_bytes(),
        b",",
        odd,
        b",",
        one.as_bytes(),
        b"]}",
    ]
    .concat()
}

fn is_json(text: &[u8]) -> bool {
    from_slice::<IgnoredAny>(text).is_ok()
}

/// Anything that is JSON, as an anchor between others, costs at most itself.
fn an_odd_anchor_costs_no_other(odd: &[u8]) {
    if is_json(odd) {
        let one = whole_anchor();
        let whole = anchor(one.to_string().as_bytes()).ok().flatten();
        let read = anchors(&between(&one, odd))
            .ok()
            .flatten()
            .unwrap_or_default();
        assert!(matches!(read.len(), 2 | 3), "{read:?}");
        assert_eq!(
            (read.first(), read.last()),
            (whole.as_ref(), whole.as_ref())
        );
    }
}

/// Anything that is JSON, as a reference between others, costs at most itself.
fn an_odd_reference_costs_no_other(odd: &[u8]) {
    if is_json(odd) {
        let read = identifiers(&between(&json!({"id": ASSET}), odd));
        let read = read.ok().flatten().unwrap_or_default();
        assert!(read.iter().any(|id| id.to_string() == ASSET), "{read:?}");
    }
}

/// Anything that is JSON, as an item of a frame between others, costs at most itself.
fn an_odd_item_costs_no_other(odd: &[u8]) {
    if is_json(odd) {
        let read = streamed_identifiers(&between(&item(), odd)).unwrap_or_default();
        let id = ID.parse().unwrap_or_default();
        let whole = Some(&StreamedIdentifier::Delete { id });
        assert_eq!((read.len(), read.first(), read.last()), (3, whole, whole));
    }
}

/// All readers agree on what is JSON, and none panics.
fn all_agree_on_what_is_json(body: &[u8]) {
    let strict = streamed_identifiers(body);
    let read = [
        anchors(body).is_ok(),
        flattened_identifiers(body).is_ok(),
        created_from_asset(body).is_ok(),
        object_id(body).is_ok(),
    ];
    assert!(read == [true; 4] || read == [false; 4], "{read:?}");
    assert!(strict.is_none() || read[0]);
    let _ = (conversation(body), anchor(body));
}

proptest! {
    #[test]
    fn a_damaged_anchor_loses_only_itself(damaged in damaged::damaged(whole_anchor())) {
        an_odd_anchor_costs_no_other(damaged.to_string().as_bytes());
    }

    #[test]
    fn a_damaged_id_loses_only_itself(damaged in damaged::damaged(reference())) {
        an_odd_reference_costs_no_other(damaged.to_string().as_bytes());
    }

    #[test]
    fn a_damaged_item_of_a_frame_loses_only_itself(damaged in damaged::damaged(item())) {
        an_odd_item_costs_no_other(damaged.to_string().as_bytes());
    }

    #[test]
    fn any_bytes_can_be_read(
        body in prop_oneof![
            damaged::garbled(&json!({"iterable": [item(), item()]})),
            damaged::garbled(&json!({"iterable": [whole_anchor(), whole_anchor()], "indices": {ID: 0, ASSET: -1}})),
            damaged::garbled(&json!({"conversation": reference()})),
            prop::collection::vec(any::<u8>(), 0..64),
        ],
    ) {
        all_agree_on_what_is_json(&body);
    }
}
