//! What filters become: one line for each, in a short notation of the IR.

use std::fmt::Write;

use base::Value;
use query::select::SortKey;
use query::{Alias, Expr, Join, Operand, Operator, Source};

use super::super::{Resolved, Resolver, Trust, parse};
use super::World;

fn operand(of: &Operand) -> String {
    match of {
        Operand::Column { alias, column } if *alias == Alias::BASE => column.name.to_string(),
        Operand::Column { alias, column } => format!("{}.{}", alias.0, column.name),
        Operand::Literal(Value::Null) => "null".into(),
        Operand::Literal(Value::Text(text)) => format!("'{text}'"),
        Operand::Literal(Value::Json(json)) => format!("json{json}"),
        Operand::Literal(Value::Bool(flag)) => flag.to_string(),
        Operand::Literal(Value::Number(number)) => number.to_string(),
        Operand::Path { of, path } => format!("{}->{}", operand(of), path.join("->")),
        Operand::Length(list) => format!("len({})", operand(list)),
        Operand::Lower(text) => format!("lower({})", operand(text)),
        Operand::Element(alias) => format!("{}.*", alias.0),
        Operand::GeoDistance(points) => {
            format!("geo({})", points.iter().map(operand).collect::<Vec<_>>().join(","))
        }
        Operand::Strftime { format, value, modifiers } => {
            format!("strftime({format},{},{})", operand(value), modifiers.join(","))
        }
    }
}

fn joins(joins: &[Join]) -> String {
    let mut out = String::new();
    for join in joins {
        let source = match &join.source {
            Source::Table(name) => name.to_string(),
            Source::Each(list) => format!("each({})", operand(list)),
            Source::Literal(_) => "literal".into(),
        };
        let many = if join.many { "*" } else { "" };
        let _ = write!(out, "[{source} {}{many}", join.alias.0);
        if join.on != Expr::Const(true) {
            let _ = write!(out, " on {}", expr(&join.on));
        }
        out.push(']');
    }
    out
}

fn expr(of: &Expr) -> String {
    let all =
        |parts: &[Expr], glue: &str| format!("({})", parts.iter().map(expr).collect::<Vec<_>>().join(glue));
    match of {
        Expr::Const(value) => value.to_string(),
        Expr::And(parts) => all(parts, " & "),
        Expr::Or(parts) => all(parts, " | "),
        Expr::Not(inner) => format!("!{}", expr(inner)),
        Expr::Missing(of) => format!("missing({})", operand(of)),
        Expr::Same(left, right) => format!("{}=={}", operand(left), operand(right)),
        Expr::In { left, values } => {
            let values: Vec<&str> = values.iter().map(Value::text_or_empty).collect();
            format!("{} in {values:?}", operand(left))
        }
        Expr::Compare { left, op, right } => {
            let sign = match op {
                Operator::Eq => "=",
                Operator::Ne => "!=",
                Operator::Gt => ">",
                Operator::Ge => ">=",
                Operator::Lt => "<",
                Operator::Le => "<=",
                Operator::Like => "~",
                Operator::NotLike => "!~",
            };
            format!("{}{sign}{}", operand(left), operand(right))
        }
        Expr::All { joins: inner, test } => format!("all{}{{{}}}", joins(inner), expr(test)),
        Expr::Exists { joins: inner, test } => format!("some{}{{{}}}", joins(inner), expr(test)),
    }
}

fn show(resolved: &Resolved) -> String {
    let joined = joins(&resolved.joins);
    if joined.is_empty() { expr(&resolved.filter) } else { format!("{joined} {}", expr(&resolved.filter)) }
}

fn check(who: &str, trust: Trust, cases: &[(&str, &str)]) {
    let world = World::load();
    let request = world.request(who);
    for (text, expected) in cases {
        let mut resolver =
            Resolver::new(&world.schema, world.collection("posts"), &request, world.now, trust);
        let resolved = parse(text)
            .map_err(Into::into)
            .and_then(|filter| resolver.condition(&filter))
            .and_then(|condition| resolver.finish(condition, Vec::new()));
        let found = match &resolved {
            Ok(resolved) => show(resolved),
            Err(error) => format!("! {error}"),
        };
        assert_eq!(found, *expected, "{text}");
    }
}

#[test]
fn columns_and_literals() {
    check(
        "super",
        Trust::Full,
        &[
            ("title = 'a'", "title='a'"),
            ("title = 5", "title='5.0'"),
            ("title = @year", "title='2026'"),
            ("title = true", "title='1'"),
            ("title = null", "title=''"),
            ("title > null", "false"),
            ("title = link", "title=link"),
            ("views = '5'", "views=5"),
            ("views = 'abc'", "false"),
            ("views != 'abc'", "true"),
            ("views = ''", "missing(views)"),
            ("views != null", "views!=null"),
            ("views < 'abc'", "!missing(views)"),
            ("views > 'abc'", "false"),
            ("views = title", "(missing(views) & title='')"),
            ("views > title", "views>title"),
            ("active = '1'", "active=1"),
            ("data = '5'", "data='5'"),
            ("data.a.0 = 5", "data->a->0=5"),
            ("data:lower = 'x'", "lower(data)='x'"),
            ("kinds:length = 2", "len(kinds)=2"),
            ("title:lower > 5", "!missing(lower(title))"),
            ("title ~ 'b_c'", "title~'%b\\_c%'"),
            ("title ~ 'a%'", "title~'a%'"),
            ("title ~ 5", "title~'%5%'"),
            ("title ~ link", "title~link"),
            ("1 = 1 && title = 'a'", "title='a'"),
            ("1 = 2 || title = 'a'", "title='a'"),
            ("1 = 1 || title = 'a'", "true"),
            ("'a' ~ 'A'", "true"),
            ("place.lat > 1", "place->lat>1"),
            ("geoDistance(place.lon, place.lat, 1, 2) < 3", "geo(place->lon,place->lat,1,2)<3"),
            ("strftime('%Y', day, '+1 day') = '2024'", "strftime(%Y,day,+1 day)='2024'"),
        ],
    );
}

#[test]
fn paths() {
    check(
        "super",
        Trust::Full,
        &[
            ("author.id = 'x'", "author='x'"),
            ("author.name = 'x'", "[authors 1 on 1.id==author] 1.name='x'"),
            (
                "author.name = 'x' && author.company.name = 'y'",
                "[authors 1 on 1.id==author][companies 2 on 2.id==1.company] (1.name='x' & 2.name='y')",
            ),
            ("tags.title ?= 'x'", "[each(tags) 1*][tags 2 on 2.id==1.*] 2.title='x'"),
            (
                "tags.title = 'x'",
                "[each(tags) 1*][tags 2 on 2.id==1.*] (2.title='x' & \
          all[each(tags) 3*][tags 4 on 4.id==3.*]{(4.title='x' | missing(4.title))})",
            ),
            (
                "tags.title != 'x'",
                "[each(tags) 1*][tags 2 on 2.id==1.*] (2.title!='x' & \
          all[each(tags) 3*][tags 4 on 4.id==3.*]{4.title!='x'})",
            ),
            ("kinds:each ?= 'a' && kinds:each ?= 'b'", "[each(kinds) 1*] (1.*='a' & 1.*='b')"),
            ("kind:each = 'a'", "[each(kind) 1] 1.*='a'"),
            ("comments_via_post.text ?= 'x'", "[comments 1* on 1.post==id] 1.text='x'"),
            ("profiles_via_likes.bio ?= 'x'", "[profiles 2* on some[each(2.likes) 1*]{1.*==id}] 2.bio='x'"),
            (
                "author.profiles_via_user.bio = 'x'",
                "[authors 1 on 1.id==author][profiles 2 on 2.user==1.id] 2.bio='x'",
            ),
            (
                "@collection.tags.title ?= title && @collection.tags:b.title ?= 'x'",
                "[tags 1*][tags 2*] (1.title=title & 2.title='x')",
            ),
            (
                "author.comments_via_post.id = 1",
                "! invalid left operand \"author.comments_via_post.id\" - invalid back relation field \"post\"",
            ),
            ("zz = 1", "! invalid left operand \"zz\" - unknown field \"zz\""),
            ("1 = zz.a", "! invalid right operand \"zz.a\" - failed to resolve field \"zz\""),
            ("title.a = 1", "! invalid left operand \"title.a\" - field \"title\" is not a valid relation"),
            ("title:x = 1", "! invalid left operand \"title:x\" - unknown modifier in \"title:x\""),
            ("now() = 1", "! invalid left operand \"now\" - unknown function \"now\""),
            // What folds away takes its joins along.
            ("author.name = 'x' && 1 = 2", "false"),
            ("author.name = 'x' || 1 = 1", "true"),
        ],
    );
}

#[test]
fn callers() {
    check(
        "u1",
        Trust::Full,
        &[
            ("@request.auth.id != ''", "true"),
            ("@request.auth.name = 'u1' && author = @request.auth.company", "author='f'"),
            ("@request.auth.company.name = 'acme'", "[companies 1 on 1.id=='c'] 1.name='acme'"),
            ("@request.auth.tags:length = 2", "true"),
            ("@request.auth.zz = ''", "true"),
            ("@request.auth.info.a = 1", "true"),
            ("@request.auth.profiles_via_user.bio = 'b1'", "[profiles 1 on 1.user=='u'] 1.bio='b1'"),
            ("@request.query.perPage = '200' && @request.method = 'GET' && title = 'x'", "title='x'"),
            ("title = @request.query.none", "title=''"),
        ]
        .map(|(text, expected)| (text, expected.to_owned()))
        .iter()
        .map(|(text, expected)| {
            // Ids are those of the world.
            let world = World::load();
            let user = world.record("authors", "u1");
            let expected = expected
                .replace("=='c'", &format!("=='{}'", user.text("company")))
                .replace("author='f'", &format!("author='{}'", user.text("company")))
                .replace("=='u'", &format!("=='{}'", user.id()));
            (*text, &*Box::leak(expected.into_boxed_str()))
        })
        .collect::<Vec<_>>(),
    );
    check(
        "guest",
        Trust::Full,
        &[
            ("@request.auth.id != ''", "false"),
            ("author = @request.auth.id", "author=''"),
            ("@request.auth.id != '' && author.name = 'x'", "false"),
            ("@request.auth.company.name != 'x'", "true"),
        ],
    );
}

#[test]
fn clients() {
    check(
        "guest",
        Trust::Client,
        &[
            ("author.email = 'x'", "[authors 1 on 1.id==author] (1.email='x' & 1.emailVisibility=true)"),
            ("hid = 'x'", "! invalid left operand \"hid\" - field \"hid\" is not allowed"),
            ("priv.title = 'x'", "! invalid left operand \"priv.title\" - field \"priv\" is not allowed"),
            ("priv.id = 'x'", "priv='x'"),
            (
                "@request.auth.id = ''",
                "! invalid left operand \"@request.auth.id\" - only superusers may filter by \"@request.\"",
            ),
        ],
    );
}

#[test]
fn sorts() {
    let world = World::load();
    let request = world.request("guest");
    for (text, expected) in [
        ("-created,+title", "-created title"),
        (" views , author.name", "views 1.name"),
        ("@random,-@rowid", "random -insertion"),
        ("data.a.0", "data->a->0"),
        ("", ""),
        ("zz", "!"),
        ("hid", "!"),
        ("@request.auth.id", "!"),
        ("@collection.tags.title", "!"),
        ("a;b", "!"),
        ("title,", "!"),
    ] {
        let posts = world.collection("posts");
        let mut resolver = Resolver::new(&world.schema, posts, &request, world.now, Trust::Client);
        let found = match resolver.sort(text) {
            Err(_) => "!".to_owned(),
            Ok(keys) => {
                let key = |sort: &query::Sort| {
                    let name = match &sort.by {
                        SortKey::Operand(of) => operand(of),
                        SortKey::Random => "random".into(),
                        SortKey::Insertion => "insertion".into(),
                    };
                    format!("{}{name}", if sort.descending { "-" } else { "" })
                };
                keys.iter().map(key).collect::<Vec<_>>().join(" ")
            }
        };
        assert_eq!(found, expected, "{text}");
    }
}

/// Not a benchmark, but a bound that only a mistake of an order of magnitude passes.
#[test]
fn resolving_is_cheap() {
    let world = World::load();
    let request = world.request("u1");
    let rule = parse("@request.auth.id != '' && author = @request.auth.id").unwrap();
    let start = std::time::Instant::now();
    const ROUNDS: u32 = 20_000;
    for _ in 0..ROUNDS {
        let posts = world.collection("posts");
        let mut resolver = Resolver::new(&world.schema, posts, &request, world.now, Trust::Full);
        let condition = resolver.condition(&rule).unwrap();
        std::hint::black_box(resolver.finish(condition, Vec::new()).unwrap());
    }
    let each = start.elapsed() / ROUNDS;
    println!("{each:?} for each rule");
    assert!(each < std::time::Duration::from_micros(100));
}
