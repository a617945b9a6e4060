//! Texts that parse, texts that do not, and texts that nobody would write.

use base::limits::{FILTER_BYTES_MAX, FILTER_DEPTH_MAX, FILTER_TERMS_MAX};

use super::super::parse;

/// A filter, and how it is written again.
#[test]
fn texts() {
    for (text, expected) in [
        ("a=1", "a = 1"),
        ("a != 'x'", "a != 'x'"),
        ("a>1&&b>=2||c<3&&d<=4", "a > 1 && b >= 2 || c < 3 && d <= 4"),
        ("a~'x' || b!~\"y\" && c?=1", "a ~ 'x' || b !~ 'y' && c ?= 1"),
        (
            "a?!=1 && a?>1 && a?>=1 && a?<1 && a?<=1 && a?~1 && a?!~1",
            "a ?!= 1 && a ?> 1 && a ?>= 1 && a ?< 1 && a ?<= 1 && a ?~ 1 && a ?!~ 1",
        ),
        ("(a=1 || b=2) && c=3", "(a = 1 || b = 2) && c = 3"),
        ("((((a=1))))", "a = 1"),
        ("(a=1)(b=2)", "a = 1 && b = 2"),
        ("a=1 (b=2 || c=3)", "a = 1 && (b = 2 || c = 3)"),
        ("(a=1 && b=2) && c=3", "(a = 1 && b = 2) && c = 3"),
        ("a=TRUE && b=False && c=null", "a = true && b = false && c = null"),
        ("a=-1.50", "a = -1.5"),
        ("a=05", "a = 5"),
        ("a='it\\'s' && b=\"a\\\"b\"", "a = 'it\\'s' && b = 'a\"b'"),
        ("a='\\d\\\\'", "a = '\\\\d\\\\'"),
        ("a='tab\\tline\\n'", "a = 'tab\tline\n'"),
        ("a=1 // note && b=2", "a = 1"),
        ("a='x'\0garbage", "a = 'x'"),
        ("a\0=\0'x'", "a = 'x'"),
        ("a=1\0", "a = 1"),
        ("// first\na=1\n// last", "a = 1"),
        ("a\n=\t1\r\n&& b=2", "a = 1 && b = 2"),
        ("@request.auth.id != '' && a.b_c:lower = @now", "@request.auth.id != '' && a.b_c:lower = @now"),
        ("@collection.x:y.z ?= a", "@collection.x:y.z ?= a"),
        ("f( 1 ,'a', b.c,)>0", "f(1, 'a', b.c) > 0"),
        ("f()=g(h(1))", "f() = g(h(1))"),
        ("#a=1", "#a = 1"),
        ("a='é\\é'", "a = 'é\\\\é'"),
    ] {
        match parse(text) {
            Ok(filter) => {
                assert_eq!(filter.to_string(), expected, "{text}");
                assert_eq!(parse(expected).as_ref(), Ok(&filter), "{text}");
            }
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn errors() {
    for (text, position, message) in [
        ("", 0, "empty filter expression"),
        ("  ", 2, "empty filter expression"),
        ("// x", 4, "empty filter expression"),
        ("()", 2, "empty filter expression"),
        ("a=1 && ()", 9, "empty filter expression"),
        ("a", 1, "invalid or incomplete filter expression"),
        ("a=", 2, "invalid or incomplete filter expression"),
        ("a=1 &&", 6, "invalid or incomplete filter expression"),
        ("='A'", 0, "expected left operand (identifier, function, text or number), got \"=\" (sign)"),
        ("&& a=1", 0, "expected left operand (identifier, function, text or number), got \"&&\" (join)"),
        ("a='x", 2, "invalid quoted text \"'x\""),
        ("a='x\\'", 2, "invalid quoted text \"'x\\'\""),
        ("(a=1", 4, "invalid formatted group - missing 1 closing bracket(s)"),
        ("a=1)", 3, "unexpected character ')'"),
        ("a==1", 1, "invalid sign operator \"==\""),
        ("a!1", 1, "invalid sign operator \"!\""),
        ("a ? = 1", 2, "invalid sign operator \"?\""),
        ("a=1 & b=2", 4, "invalid join operator \"&\""),
        ("a=1 ||| b=2", 4, "invalid join operator \"|||\""),
        ("a=5.", 2, "invalid number \"5.\""),
        ("a=1.2.3", 2, "invalid number \"1.2.3\""),
        ("a=- 1", 2, "invalid number \"-\""),
        ("a=.5", 2, "unexpected character '.'"),
        ("a=1e2", 3, "expected && or ||, got \"e2\" (identifier)"),
        ("(a=1) b=2", 6, "expected && or ||, got \"b\" (identifier)"),
        ("'a' 'b'", 4, "expected a sign operator, got \"b\" (text)"),
        ("a=(b=1)", 2, "expected right operand (identifier, function, text or number), got \"(\" (group)"),
        ("a:=1", 0, "invalid identifier \"a:\""),
        ("@=1", 0, "invalid identifier \"@\""),
        ("é=1", 0, "unexpected character 'é'"),
        ("a=1 /b", 4, "invalid comment"),
        ("f(1,,2)=1", 4, "unexpected comma in function \"f\""),
        ("f(1 2)=1", 4, "expected comma after the last argument in function \"f\""),
        ("f(=)=1", 2, "unexpected argument \"=\" in function \"f\""),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!((error.position, error.to_string().as_str()), (position, message), "{text}");
    }
}

#[test]
fn limits() {
    let nested = |depth: usize| format!("{}a=1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(FILTER_DEPTH_MAX)).is_ok());
    assert!(parse(&nested(FILTER_DEPTH_MAX + 1)).is_err());
    let calls = |depth: usize| format!("{}1{}=1", "f(".repeat(depth), ")".repeat(depth));
    assert!(parse(&calls(FILTER_DEPTH_MAX)).is_ok());
    assert!(parse(&calls(FILTER_DEPTH_MAX + 1)).is_err());
    let terms = |count: usize| vec!["a=1"; count].join("||");
    assert!(parse(&terms(FILTER_TERMS_MAX)).is_ok());
    assert!(parse(&terms(FILTER_TERMS_MAX + 1)).is_err());
    assert!(parse(&format!("a='{}'", "x".repeat(FILTER_BYTES_MAX))).is_err());
    assert!(parse(&"(".repeat(FILTER_BYTES_MAX)).is_err());
}
