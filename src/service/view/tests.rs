use super::*;

#[test]
fn items_are_split_by_owner() {
    let all = [(1, 'a'), (3, 'b'), (3, 'c'), (7, 'd')];
    let mut rest = all.as_slice();
    let mut taken = |seq| {
        take(&mut rest, seq, |item| item.0)
            .iter()
            .map(|i| i.1)
            .collect::<String>()
    };
    assert_eq!(
        [taken(2), taken(3), taken(5), taken(7)],
        ["", "bc", "", "d"]
    );
}

#[test]
fn a_stored_document_is_spliced() {
    for (doc, expected) in [("{}", "{\"id\":1}"), ("{\"a\":{}}", "{\"id\":1,\"a\":{}}")] {
        let mut out = String::from("{\"id\":1");
        close(&mut out, doc);
        assert_eq!(out, expected);
    }
}
