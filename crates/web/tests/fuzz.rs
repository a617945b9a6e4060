//! Bodies of arbitrary bytes must not panic. `PANDO_FUZZ_SECONDS` makes the run longer, `PANDO_FUZZ_SEED` another.

use testkit::fuzz;

/// The first byte chooses the kind of body.
const SEEDS: &[&[u8]] = &[
    b"0{\"title\":\"x\",\"n+\":1.5e3,\"tags\":[\"a\",null,{\"b\":[true]}],\"title\":\"y\"}",
    b"0{\"a\":\"\\ud83c\\udf32\\u0000\"} trailing",
    b"0null",
    b"0[[[[[[1]]]]]]",
    b"1title=x&tags=a&tags=b%20c&n=-1.50&@jsonPayload=%7B%22a%22%3A1%7D&b=true&c",
    b"1a=%zz&=&&%=%&a+b=c+d",
    b"2--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; \
      name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\ncontent\r\n--b--\r\n",
    b"2--b\r\nContent-Disposition: form-data; name=\"@jsonPayload\"\r\n\r\n{\"a\":[1]}\r\n--b--",
];

#[test]
fn bodies() {
    let executions = fuzz::run(SEEDS, fuzz::seconds(2), web::fuzz_body);
    assert!(executions > 100, "{executions} executions are no run");
}
