#[test]
fn a_cut_by_the_fuzzers_own_first_byte_is_never_empty() {
    assert_eq!(super::cut(b""), None);
    assert_eq!(super::cut(b"\0abc"), Some((&b"abc"[..], 1)));
    assert_eq!(super::cut(b"\x05abc"), Some((&b"abc"[..], 5)));
}
