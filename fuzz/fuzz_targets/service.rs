#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let dir = tempfile::tempdir().expect("a directory");
    pieces_lsp::fuzzing::service(input, dir.path());
});
