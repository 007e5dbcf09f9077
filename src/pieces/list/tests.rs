use super::super::wire;
use super::super::wire::damaged::{any_json, damaged};
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

type Outcome = Result<(Vec<Conversation<'static>>, usize), Unreadable>;

/// The conversations of a list that arrives in these chunks, and how many could not be read.
fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut read = Vec::new();
    let mut parser =
        ListParser::new(|conversation: Conversation<'_>| read.push(conversation.into_owned()));
    for (at, chunk) in chunks.into_iter().enumerate() {
        match str::from_utf8(chunk) {
            Ok(text) if at % 2 == 0 => parser.feed_text(text)?,
            _ => parser.feed(chunk)?,
        }
    }
    let (accepted, rejected) = parser.finish()?;
    assert_eq!(accepted, read.len());
    Ok((read, rejected))
}

/// The result does not depend on the chunks, except for which error is found first.
fn chunks_do_not_matter(json: &[u8], cuts: &[usize]) {
    let mut cuts = cuts.to_vec();
    cuts.extend([0, json.len()]);
    cuts.sort_unstable();
    let whole = parse([json]).ok();
    let pieces = parse(cuts.windows(2).map(|cut| &json[cut[0]..cut[1]]));
    assert_eq!(whole, pieces.ok(), "cut at {cuts:?}");
    assert_eq!(whole, parse(json.chunks(1)).ok(), "byte by byte");
}

/// A list is read like its conversations one by one.
fn is_what_is_in_it(body: &[u8]) {
    let Ok(list) = crate::json::from_slice::<Value>(body) else {
        return;
    };
    let expected = list["iterable"].as_array().map(|items| {
        let read = |item: &Value| wire::conversation(item.to_string().as_bytes()).ok()?;
        let read: Vec<_> = items.iter().filter_map(read).collect();
        let rejected = items.len() - read.len();
        (read, rejected)
    });
    // As it is written here, every key is there once.
    assert_eq!(parse([list.to_string().as_bytes()]).ok(), expected);
}

/// An item of a list that is JSON costs at most itself: how many then could not be read.
fn costs_no_other(item: &[u8]) -> Option<usize> {
    serde_json::from_slice::<IgnoredAny>(item).ok()?;
    let [first, last] = [whole(1), whole(3)].map(|one| one.to_string());
    let list = [
        b"{\"iterable\":[",
        first.as_bytes(),
        b",",
        item,
        b",",
        last.as_bytes(),
        b"]}",
    ]
    .concat();
    let expected = parse([json!({"iterable": [whole(1), whole(3)]})
        .to_string()
        .as_bytes()]);
    let (Ok((read, rejected)), Ok((expected, 0))) = (parse([&list[..]]), expected) else {
        panic!("no list");
    };
    assert_eq!(read.len() + rejected, 3);
    assert_eq!(
        (read.first(), read.last()),
        (expected.first(), expected.last())
    );
    Some(rejected)
}

/// The id number `n`.
fn id(n: u8) -> String {
    uuid::Uuid::from_bytes([n; 16]).to_string()
}

/// A conversation with everything.
fn whole(n: u8) -> Value {
    let other = id(n ^ 0x80);
    json!({
        "id": id(n), "name": format!("Conversation \"{n}\""), "type": "COPILOT", "favorited": true,
        "created": {"value": "2026-11-20T09:14:02.118243Z", "readable": "3 days ago"},
        "updated": {"value": "2026-11-20T09:20:41.900Z"},
        "application": {"id": other, "name": "VS_CODE"},
        "messages": {"iterable": [{"id": other}], "indices": {&other: 0}},
        "assets": {"iterable": [{"id": other}], "indices": {&other: 0}},
        "anchors": {"iterable": [{"id": other, "reference": {"points": {"iterable": [
            {"id": other, "reference": {"fullpath": "/home/u/a.rs"}}]}}}]},
        "score": {"manual": -1, "automatic": 0.5},
    })
}

/// `json` with `'` for `"` and `#n` for the id number n: the ids read, and how many were rejected.
fn check(json: &str, expected: Result<(&[u8], usize), Unreadable>) {
    let mut json = json.replace('\'', "\"");
    for n in 1..=9 {
        json = json.replace(&format!("#{n}"), &id(n));
    }
    let expected =
        expected.map(|(ids, rejected)| (ids.iter().map(|n| id(*n)).collect::<Vec<_>>(), rejected));
    let ids = |outcome: Outcome| {
        outcome.map(|(read, rejected)| {
            (
                read.iter().map(|c| c.id.to_string()).collect::<Vec<_>>(),
                rejected,
            )
        })
    };
    assert_eq!(ids(parse([json.as_bytes()])), expected, "whole: {json}");
    assert_eq!(
        ids(parse(json.as_bytes().chunks(1))),
        expected,
        "byte by byte: {json}"
    );
}

#[test]
fn shapes() {
    type Row = (&'static str, Result<(&'static [u8], usize), Unreadable>);
    let table: &[Row] = &[
        ("{'iterable':[]}", Ok((&[], 0))),
        (" \r\n\t{ 'iterable' : [ ] } \n", Ok((&[], 0))),
        ("\u{feff}{'iterable':[{'id':'#1'}]}", Ok((&[1], 0))),
        ("\u{feff}\u{feff}{'iterable':[]}", Err(SYNTAX)),
        ("{'iterable':[{'id':'#1'}]}", Ok((&[1], 0))),
        ("{'iterable':[{'id':'#1'} , {'id':'#2'}]}", Ok((&[1, 2], 0))),
        // Other fields.
        (
            "{'schema':{'a':[1,{'b':'}]\\\\'}],'c':null},'iterable':[{'id':'#1'}],'indices':{'#1':0}}",
            Ok((&[1], 0)),
        ),
        (
            "{'x':-1.5e3,'y':'\\\\\\'','iterable':[{'id':'#1'}],'z':true}",
            Ok((&[1], 0)),
        ),
        (
            "{'score':{},'iterable':[{'id':'#1'}],'iterable':[{'id':'#2'}]}",
            Ok((&[1, 2], 0)),
        ),
        ("{'\\u0069terable':[{'id':'#1'}]}", Ok((&[1], 0))),
        // Malformed items are lost alone.
        (
            "{'iterable':[null,1,-2.5e3,true,'x',[],[[{}]],{},{'id':null},{'id':7},{'id':'x'},{'id':'#1'}]}",
            Ok((&[1], 11)),
        ),
        (
            "{'iterable':[{'id':'#1','name':'\\ud800'},{'id':'#2','name':'\\ud83d\\ude00'}]}",
            Ok((&[1, 2], 0)),
        ),
        (
            "{'iterable':[{'id':'#1','updated':1e999},{'id':'#2','x':1e999}]}",
            Ok((&[1, 2], 0)),
        ),
        (
            "{'iterable':[{'id':'#1','score':{'a':-1.25E+2,'b':[0.5,-0]}},{'id':'#2'}]}",
            Ok((&[1, 2], 0)),
        ),
        // Not a list.
        ("", Err(CUT_SHORT)),
        ("{}", Err(NOT_A_LIST)),
        ("{'iterable':null}", Err(NOT_A_LIST)),
        ("{'iterable':{}}", Err(NOT_A_LIST)),
        ("{'indices':{'#1':0}}", Err(NOT_A_LIST)),
        ("{'x':{'iterable':[]}}", Err(NOT_A_LIST)),
        ("[]", Err(NOT_A_LIST)),
        ("'ok'", Err(NOT_A_LIST)),
        ("null", Err(SYNTAX)),
        ("<!doctype html>", Err(SYNTAX)),
        ("Route not found", Err(SYNTAX)),
        // Malformed JSON.
        ("{'iterable':[{'id':'#1'}", Err(CUT_SHORT)),
        ("{'iterable':[{'id':'#1'}]", Err(CUT_SHORT)),
        ("{'iterable':[{'id':'#1'},", Err(CUT_SHORT)),
        ("{'iterable':[{'id':'#1'", Err(CUT_SHORT)),
        ("{'iterable':[],'indices':{'#1':", Err(CUT_SHORT)),
        ("{'iterable':[1", Err(CUT_SHORT)),
        ("{'iterable':[{'id':'#1'},]}", Err(SYNTAX)),
        ("{'iterable':[,{'id':'#1'}]}", Err(SYNTAX)),
        ("{'iterable':[{'id':'#1'}{'id':'#2'}]}", Err(SYNTAX)),
        ("{'iterable':[{'id':'#1'}}]}", Err(SYNTAX)),
        ("{'iterable':[{'id':#1}]}", Err(SYNTAX)),
        ("{'iterable':[{'id':'#1' 'x':1}]}", Err(SYNTAX)),
        ("{'iterable':[]},", Err(SYNTAX)),
        ("{'iterable':[]}{}", Err(SYNTAX)),
        ("{'iterable'}", Err(SYNTAX)),
        ("{'a':,'iterable':[]}", Err(SYNTAX)),
        ("{,'iterable':[]}", Err(SYNTAX)),
        ("{'iterable':[],}", Err(SYNTAX)),
        ("{'a':],'iterable':[]}", Err(SYNTAX)),
    ];
    for (json, expected) in table {
        check(json, *expected);
    }
}

#[test]
fn a_huge_item_is_read_in_linear_time() {
    // 8 MB in 1 kB chunks: quadratic work would be 32 GB of parsing.
    let text = "x".repeat(8 << 20);
    let json = json!({"iterable": [{"id": id(1), "name": text}, {"id": id(2)}]}).to_string();
    let (read, rejected) = parse(json.as_bytes().chunks(1024)).unwrap();
    assert_eq!((read.len(), rejected), (2, 0));
    assert_eq!(read[0].name.as_deref().map(str::len), Some(8 << 20));
}

#[test]
fn an_endless_item_is_given_up() {
    let mut parser = ListParser::new(|_: Conversation<'_>| {});
    parser.feed(br#"{"iterable":[{"name":""#).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    let fed = (0..100).take_while(|_| parser.feed(&chunk).is_ok()).count();
    assert_eq!(fed, (limits::STREAMED_ITEM >> 20) - 1);
}

proptest! {
    #[test]
    fn chunk_boundaries_do_not_matter(
        before in any_json(), items in prop::collection::vec(any_json(), 0..4), after in any_json(),
        damaged in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let items: Vec<_> = items.into_iter().flat_map(|item| [item, whole(1)]).collect();
        // serde_json orders keys: a before iterable before z.
        let mut json = json!({"a": before, "iterable": items, "z": after}).to_string().into_bytes();
        if let Some((at, byte)) = damaged {
            let at = at.index(json.len());
            json[at] = byte;
        }
        let cuts: Vec<_> = cuts.iter().map(|cut| cut.index(json.len())).collect();
        chunks_do_not_matter(&json, &cuts);
        is_what_is_in_it(&json);
        prop_assert!(damaged.is_some() || parse([&json[..]]).is_ok());
    }

    #[test]
    fn one_damaged_item_loses_only_itself(
        damaged in damaged(whole(2)),
    ) {
        let rejected = costs_no_other(damaged.to_string().as_bytes());
        // The id survives unless it was the damaged part.
        prop_assert_eq!(rejected == Some(0), damaged["id"].as_str().is_some_and(|id| id.parse::<uuid::Uuid>().is_ok()));
    }
}
