#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lvsd_fuzz::advert(input));
