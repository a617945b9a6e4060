//! Measures an engine: `cargo run --release -p store --example bench [DIR|postgres://…] [ROWS]`.

use std::sync::Arc;
use std::time::Instant;

use base::topology::Node;
use base::{SystemClock, Value};
use query::{Batch, Column, ColumnType, Ddl, Expr, Op, Operand, Operator, Select, Table};
use store::sql::{Dialect, Renderer, Views};
use store::{Options, Target, open};

const TASKS: usize = 64;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Failure> {
    // On the worker, where requests run: the main thread would pay for two changes of thread at every answer.
    tokio::spawn(measure()).await?
}

async fn measure() -> Result<(), Failure> {
    let given = std::env::args().nth(1);
    let rows: usize = std::env::args().nth(2).map_or(Ok(20_000), |rows| rows.parse())?;
    let scratch = tempfile::tempdir()?;
    let target = match given {
        Some(url) if url.starts_with("postgres://") => Target::Postgres { url },
        Some(dir) => Target::Sqlite { dir: dir.into(), file: "data.db" },
        None => Target::Sqlite { dir: scratch.path().to_owned(), file: "data.db" },
    };
    let store = open(Options {
        target,
        node: Node::local(),
        clock: Arc::new(SystemClock),
        witness: Arc::new(()),
        exclusive: true,
    })
    .await?;
    let table = Table {
        name: format!("bench{}", base::id::record()).into(),
        columns: vec![
            Column::new("id", ColumnType::Id),
            Column::new("title", ColumnType::Text),
            Column::new("body", ColumnType::Text),
            Column::new("author", ColumnType::Text),
            Column::new("views", ColumnType::Number),
            Column::new("ok", ColumnType::Bool),
            Column::new("tags", ColumnType::List),
            Column::new("created", ColumnType::Date),
            Column::new("updated", ColumnType::Date),
        ],
    };
    store.commit(Batch { ddl: vec![Ddl::CreateTable(table.clone())], ..Batch::default() }).await?;

    let started = Instant::now();
    let mut slowest = std::time::Duration::ZERO;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (store, table) = (store.clone(), table.clone());
            tokio::spawn(async move {
                let mut slowest = std::time::Duration::ZERO;
                for index in (task..rows).step_by(TASKS) {
                    let begun = Instant::now();
                    store.commit(Batch::op(row(&table, index))).await?;
                    slowest = slowest.max(begun.elapsed());
                }
                Ok::<_, store::Error>(slowest)
            })
        })
        .collect();
    for task in tasks {
        slowest = slowest.max(task.await??);
    }
    report("inserts, 64 tasks", rows, started);
    println!("{:>40} {slowest:?}", "slowest insert");

    let started = Instant::now();
    for index in 0..500 {
        store.commit(Batch::op(row(&table, rows + index))).await?;
    }
    report("inserts, one task", 500, started);

    let started = Instant::now();
    for index in 0..100_000 {
        let id = format!("id{:013}", index * 7919 % rows).into();
        let select = Select::by_ids(table.name.clone(), table.columns.clone(), vec![id]);
        assert_eq!(store.select(&select).await?.len(), 1);
    }
    report("point selects", 100_000, started);

    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (store, table) = (store.clone(), table.clone());
            tokio::spawn(async move {
                for index in (task..100_000).step_by(TASKS) {
                    let id = format!("id{:013}", index * 7919 % rows).into();
                    store
                        .select(&Select::by_ids(table.name.clone(), table.columns.clone(), vec![id]))
                        .await?;
                }
                Ok::<_, store::Error>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    report("point selects, 64 tasks", 100_000, started);

    let list = Select::table(table.name.clone(), table.columns.clone()).limit(30);
    let started = Instant::now();
    for offset in 0..20_000 {
        let select = Select { offset: offset % 30, ..list.clone() };
        assert_eq!(store.select(&select).await?.len(), 30);
    }
    report("lists of 30", 20_000, started);

    let ids = (0..30).map(|index| format!("id{index:013}").into()).collect();
    let many = Select::by_ids(table.name.clone(), table.columns.clone(), ids);
    let started = Instant::now();
    for _ in 0..10_000 {
        store.select(&many).await?;
    }
    report("30 records by their ids", 10_000, started);

    let scan = list.clone().filter(Expr::Compare {
        left: Operand::base("title", ColumnType::Text),
        op: Operator::Like,
        right: Operand::from("%no such title%"),
    });
    let started = Instant::now();
    for _ in 0..50 {
        store.select(&scan).await?;
    }
    report("scans of all rows", 50, started);
    let started = Instant::now();
    for _ in 0..50 {
        store.count(&list).await?;
    }
    report("counts of all rows", 50, started);

    let views = Views::default();
    let started = Instant::now();
    let mut bytes = 0;
    for _ in 0..200_000 {
        bytes += Renderer::new(Dialect::Sqlite, &views).select(&scan).sql.len();
    }
    report(&format!("renders ({} bytes)", bytes / 200_000), 200_000, started);
    memory();
    store.close().await;
    Ok(())
}

fn row(table: &Table, index: usize) -> Op {
    let value = |column: &Column| match column.ty {
        ColumnType::Id => Value::text(format!("id{index:013}")),
        ColumnType::Number => Value::Number(index as f64),
        ColumnType::Bool => Value::Bool(index.is_multiple_of(2)),
        ColumnType::List => Value::list(&["one", "two"]),
        ColumnType::Date => "2026-11-21 07:59:21.081Z".into(),
        _ => Value::text(format!("{} of the row {index}, some more text to fill it", column.name)),
    };
    let values = table.columns.iter().map(|column| (column.name.clone(), value(column))).collect();
    Op::Insert { table: table.name.clone(), values }
}

fn report(what: &str, count: usize, started: Instant) {
    let elapsed = started.elapsed();
    let each = elapsed.as_secs_f64() * 1e6 / count as f64;
    println!("{what:>40} {:>9.0}/s  {each:>8.1} µs", count as f64 / elapsed.as_secs_f64());
}

fn memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(line) = status.lines().find(|line| line.starts_with("VmRSS")) {
        println!("{:>40} {}", "resident", line.trim_start_matches("VmRSS:").trim());
    }
}
