//! The contract, on a private server from Debian's packages.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base::SystemClock;
use base::topology::Node;

use crate::{Error, Options, Store, Target, open};

struct Server {
    child: Child,
    dir: tempfile::TempDir,
    port: u16,
}

impl Server {
    fn start() -> Server {
        let bin = "/usr/lib/postgresql/15/bin";
        let dir = tempfile::tempdir().unwrap();
        assert!(Command::new("chown").arg("postgres").arg(dir.path()).status().unwrap().success());
        let data = dir.path().join("data");
        let run = |program: &str| {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", &format!("{bin}/{program}")]);
            command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let mut init = run("initdb");
        init.args(["-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"]).arg(&data);
        assert!(init.status().unwrap().success());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = run("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(dir.path()).args(["-p", &port.to_string()]);
        let child = server.args(["-c", "fsync=off"]).spawn().unwrap();
        Server { child, dir, port }
    }

    async fn store(&self) -> Store {
        for _ in 0..200 {
            match open(self.options()).await {
                Ok(store) => return store,
                Err(Error::Away(_) | Error::Refused(_)) => {
                    tokio::time::sleep(Duration::from_millis(50)).await
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("no server: {:?}", open(self.options()).await.err());
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn options(&self) -> Options {
        Options {
            target: Target::Postgres { url: self.url() },
            node: Node::local(),
            clock: Arc::new(SystemClock),
            witness: Arc::new(()),
            exclusive: false,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server's own process id: the child is runuser.
        let pid = std::fs::read_to_string(self.dir.path().join("data/postmaster.pid")).unwrap_or_default();
        if let Some(pid) = pid.lines().next() {
            let _ = Command::new("kill").args(["-INT", pid]).status();
        }
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_contract() {
    let server = Server::start();
    let store = server.store().await;
    // Several processes may open at once.
    let (second, third) = tokio::join!(open(server.options()), open(server.options()));
    second.unwrap();
    third.unwrap();
    crate::contract::check(&store).await;
    store.close().await;
    assert_eq!(store.ping().await.unwrap_err().kind(), base::Kind::Unavailable);
}

/// What is indexed must be looked up and sorted by its index: a spelling of a condition or of an order that no index
/// knows gives right answers, and slow ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn indexes_are_used() {
    use query::ddl::{Index, IndexColumn};
    use query::select::SortKey;
    use query::{Alias, Batch, ColumnType, Ddl, Expr, Join, Op, Operand, Operator, Select, Sort, Source};

    use crate::sql::{Dialect, Renderer, Views};

    const ROWS: usize = 5_000;
    let server = Server::start();
    let store = server.store().await;
    let columns = [
        ("id", ColumnType::Id),
        ("owner", ColumnType::Text),
        ("views", ColumnType::Number),
        ("created", ColumnType::Date),
    ];
    let table = crate::contract::table("posts", &columns);
    let index = |column: &str, descending| {
        let column = IndexColumn { expr: column.into(), collate: "".into(), descending };
        Ddl::CreateIndex(Index {
            name: format!("idx_posts_{}", column.expr).into(),
            table: "posts".into(),
            unique: false,
            columns: vec![column],
            filter: "".into(),
        })
    };
    let ddl = vec![
        Ddl::CreateTable(table.clone()),
        index("owner", false),
        index("views", false),
        index("created", true),
    ];
    store.commit(Batch { ddl, ..Batch::default() }).await.unwrap();
    let now = base::Timestamp(1_700_000_000_000);
    let ops = (0..ROWS).map(|n| Op::Insert {
        table: "posts".into(),
        values: vec![
            ("id".into(), format!("post{n:011}").into()),
            ("owner".into(), format!("owner{:010}", n % 500).into()),
            ("views".into(), base::Value::Number((n * 7919 % ROWS) as f64)),
            ("created".into(), base::Timestamp(now.0 + n as i64 * 1000).to_string().into()),
        ],
    });
    store.commit(Batch { ops: ops.collect(), ..Batch::default() }).await.unwrap();

    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute("ANALYZE posts").await.unwrap();

    let all = || Select::table("posts", table.columns.clone());
    let of = |name: &str| {
        Operand::column(Alias::BASE, table.columns.iter().find(|column| &*column.name == name).unwrap())
    };
    let sorted = |mut select: Select, name: &str, descending| {
        select.sort = vec![Sort { by: SortKey::Operand(of(name)), descending }];
        select.limit(30)
    };
    let owned = || Expr::eq(of("owner"), base::Value::from("owner0000000007"));
    let few = Expr::Compare { left: of("views"), op: Operator::Lt, right: base::Value::Number(20.0).into() };
    let same_owner = Join {
        alias: Alias(1),
        source: Source::Table("posts".into()),
        on: Expr::same(of("owner"), Operand::column(Alias(1), &table.columns[1])),
        many: true,
    };
    let mut joined = all().filter(Expr::eq(of("id"), base::Value::from("post00000000011")));
    joined.joins = vec![same_owner];
    let joined = joined.filter(Expr::Compare {
        left: Operand::column(Alias(1), &table.columns[2]),
        op: Operator::Gt,
        right: base::Value::Number(10.0).into(),
    });
    let cases = [
        (
            "by id",
            Select::by_ids("posts", table.columns.clone(), vec!["post00000000007".into()]),
            "posts_pkey",
        ),
        (
            "id in a filter",
            all().filter(Expr::eq(of("id"), base::Value::from("post00000000007"))),
            "posts_pkey",
        ),
        ("equal text", all().filter(owned()), "idx_posts_owner"),
        ("number range", all().filter(few), "idx_posts_views"),
        ("sorted by a number", sorted(all(), "views", false), "idx_posts_views"),
        ("sorted by a number, descending", sorted(all(), "views", true), "idx_posts_views"),
        ("newest first", sorted(all(), "created", true), "idx_posts_created"),
        ("oldest first", sorted(all(), "created", false), "idx_posts_created"),
        ("joined by an indexed column", joined, "idx_posts_owner"),
    ];
    let views = Views::default();
    let mut slow = Vec::new();
    for (name, select, wanted) in cases {
        let statement = Renderer::new(Dialect::Postgres, &views).select(&select);
        let params: Vec<_> = statement.params.into_iter().map(super::codec::Param).collect();
        let params: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
            params.iter().map(|param| param as _).collect();
        let rows = client.query(&format!("EXPLAIN {}", statement.sql), &params).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        if !plan.iter().any(|line| line.contains(wanted)) {
            slow.push(format!("{name}: {}\n{}", statement.sql, plan.join("\n")));
        }
    }
    connection.abort();
    assert!(slow.is_empty(), "{}", slow.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_a_database() {
    use query::{Batch, Column, ColumnType, Ddl, Guard, Op, Select};

    let server = Server::start();
    let (one, two) = (server.store().await, server.store().await);
    let table = crate::contract::table("rows", &[("id", ColumnType::Id), ("n", ColumnType::Number)]);
    let create = |ddl| Batch { ddl: vec![ddl], ..Batch::default() };
    one.commit(create(Ddl::CreateTable(table.clone()))).await.unwrap();
    let insert = |id: &str| Op::Insert { table: "rows".into(), values: vec![("id".into(), id.into())] };
    let all = || {
        Select::table("rows", vec![Column::new("id", ColumnType::Id), Column::new("n", ColumnType::Number)])
    };

    // "Only if there is none" from both at once: one of them wins.
    let tasks: Vec<_> = (0..40)
        .map(|index| {
            let store = if index % 2 == 0 { one.clone() } else { two.clone() };
            let batch = Batch {
                guards: vec![Guard::Absent(all())],
                ops: vec![insert(&format!("r{index}")), insert(&format!("s{index}"))],
                ..Batch::default()
            };
            tokio::spawn(async move { store.commit(batch).await })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => won += 1,
            Err(Error::Guard(0) | Error::Unavailable(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(one.count(&all()).await.unwrap(), 2);

    // A schema change of one does not trip what the other had prepared.
    let retype = |ty, from| Ddl::RetypeColumn { table: "rows".into(), column: Column::new("n", ty), from };
    two.commit(Batch::op(insert("before"))).await.unwrap();
    two.select(&all()).await.unwrap();
    let version = two.schema_version().await.unwrap();
    one.commit(create(retype(ColumnType::List, ColumnType::Number))).await.unwrap();
    assert!(two.schema_version().await.unwrap() > version);
    two.commit(Batch::op(insert("after"))).await.unwrap();
    two.select(&all()).await.unwrap();
    // Nor does a view that it has not heard of.
    let view = Ddl::CreateView { name: "seen".into(), query: "SELECT id FROM rows".into() };
    one.commit(create(view)).await.unwrap();
    let seen = Select::table("seen", vec![Column::new("id", ColumnType::Id)]);
    assert_eq!(two.select(&seen).await.unwrap().len(), 4);

    // Connections that the server ended are replaced.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='pando'";
    let mut psql = Command::new("psql");
    psql.args(["-h", "127.0.0.1", "-p", &server.port.to_string(), "-U", "postgres", "-c", end, "postgres"]);
    assert!(psql.stdout(Stdio::null()).status().unwrap().success());
    assert_eq!(one.select(&all()).await.unwrap().len(), 4);
    tokio::time::sleep(Duration::from_millis(100)).await;
    two.commit(Batch::op(insert("again"))).await.unwrap();
    assert_eq!(one.count(&all()).await.unwrap(), 5);
}

/// A connection that came back inside of a transaction would take the next commits with it into nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_begin_that_nobody_waits_for_leaves_no_transaction_behind() {
    use query::{Batch, Column, ColumnType, Ddl, Op, Select};

    let server = Server::start();
    let (one, two) = (server.store().await, server.store().await);
    let table = crate::contract::table("rows", &[("id", ColumnType::Id)]);
    one.commit(Batch { ddl: vec![Ddl::CreateTable(table)], ..Batch::default() }).await.unwrap();
    for round in 0..60_u64 {
        tokio::select! {
            biased;
            _ = one.begin(Duration::from_secs(30)) => {}
            // Given up at one of its first stops.
            () = async { for _ in 0..round % 4 { tokio::task::yield_now().await } } => {}
        }
        let values = vec![("id".into(), format!("row{round}").as_str().into())];
        one.commit(Batch::op(Op::Insert { table: "rows".into(), values })).await.unwrap();
        let all = Select::table("rows", vec![Column::new("id", ColumnType::Id)]);
        assert_eq!(two.count(&all).await.unwrap(), round + 1);
    }
}

#[tokio::test]
async fn a_user_may_be_called_like_the_program() {
    let server = Server::start();
    let store = server.store().await;
    store.console("CREATE ROLE pando SUPERUSER LOGIN").await.unwrap();
    let url = format!("postgres://pando@127.0.0.1:{}/postgres", server.port);
    for schema in ["ALTER SCHEMA _pando RENAME TO pando; DELETE FROM _pando_meta WHERE id='functions'", ""] {
        if !schema.is_empty() {
            // As it was called at first.
            store.console(schema).await.unwrap();
        }
        let again = open(Options { target: Target::Postgres { url: url.clone() }, ..server.options() });
        let again = again.await.unwrap();
        assert_eq!(again.console("SELECT to_regnamespace('pando')").await.unwrap().rows, [[None]]);
        again.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_mover_had_sent_is_tidied_up_too() {
    use query::{Batch, ColumnType, Ddl};

    let server = Server::start();
    let (mover, tidier) = (server.store().await, server.store().await);
    let table = crate::contract::table("rows", &[("id", ColumnType::Id)]);
    mover.commit(Batch { ddl: vec![Ddl::CreateTable(table)], ..Batch::default() }).await.unwrap();
    let (writer, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let count = async |sql: &str| -> i64 { writer.query_one(sql, &[]).await.unwrap().get(0) };
    // Notes cannot be begun while a writer is not done.
    writer.batch_execute("BEGIN; LOCK TABLE rows IN ROW EXCLUSIVE MODE").await.unwrap();
    let following = tokio::spawn(async move {
        let mut departure = mover.depart().await.unwrap();
        let _ = departure.follow(&["rows".into()]).await;
    });
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type='Lock'";
    while count(waits).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    following.abort();
    let tidying = tokio::spawn(async move {
        let mut departure = tidier.depart().await.unwrap();
        departure.unfollow().await.unwrap();
    });
    while count(waits).await == 1 && !tidying.is_finished() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    writer.batch_execute("COMMIT").await.unwrap();
    tidying.await.unwrap();
    while count(waits).await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for left in ["pg_trigger WHERE tgname='_pando_note'", "pg_proc WHERE proname='note_change'"] {
        assert_eq!(count(&format!("SELECT COUNT(*) FROM {left}")).await, 0, "{left}");
    }
}
