#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pieces_lsp_fuzz::oracles::events::fuzz(input));
