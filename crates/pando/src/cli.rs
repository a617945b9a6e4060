//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A backend in one file: collections, records, auth and rules over HTTP, with PocketBase's API.
///
/// Start with `pando serve`. Everything is kept in one directory until you say otherwise; each tier can then
/// move to an engine of its own by configuration, and the application stays as it is.
#[derive(Parser)]
#[command(name = "pando", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  pando serve                                      serve ./pb_data at http://127.0.0.1:8090
  pando serve --dir /srv/pb_data --http :80        an existing PocketBase directory, on every address
  pando serve --data postgres://app@db/app         the same API on PostgreSQL
  pando move --to postgres://app@db/app            move everything there, while the server goes on
  pando web --data postgres://app@db/app --http :80
                                                   one of any number of nodes on one PostgreSQL
  pando worker --data postgres://app@db/app        do the jobs of those nodes in a process of its own
  pando balance --http :80 --to 10.0.0.5:8090,10.0.0.6:8090
                                                   share requests out among those nodes
  pando config > new.toml                          a file with every key, its meaning, and what is in force
  pando superuser upsert me@example.com secret123  make or change a superuser, also beside a running server
  pando up topologies/4-replicated.toml            a whole topology on this machine: see also status and down
  pando types --out src/pocketbase-types.ts        TypeScript for the collections, also beside a running server

Every option can stand in pando.toml or in the environment (PANDO_DIR, PANDO_HTTP, PANDO_DATA, …).";

#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// The data directory: a new one, Pando's or PocketBase's [default: pb_data]
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Where the records live: postgres://USER:PASSWORD@HOST/DATABASE [default: SQLite in the data directory]
    #[arg(long, global = true, value_name = "URL")]
    pub data: Option<String>,
    /// The environment variable that holds the key (32 characters) that settings are encrypted with [default: none]
    #[arg(long, global = true, value_name = "NAME", alias = "encryptionEnv")]
    pub encryption_env: Option<String>,
    /// The configuration file [default: pando.toml in the working directory, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Serve the API: every role in one process
    Serve(Serve),
    /// Serve the API as one of any number of nodes on one PostgreSQL, which keep nothing of their own
    Web(Serve),
    /// Do the jobs of web nodes, and what is due by schedules: one of any number on one PostgreSQL
    Worker(Worker),
    /// Share requests out among web nodes: health, failover, draining, discovery
    Balance(Front),
    /// The same with a cache in front of the nodes
    Edge(Front),
    /// Declare out of date what edges keep: by tag, URL or prefix, at one front door and all that it knows
    Purge(Purge),
    /// Show a front door's nodes and how it is doing, as JSON
    FrontStatus(At),
    /// Write TypeScript types of the collections, for the official JavaScript SDK
    Types(Types),
    /// Move all data to another database, or the files to another place, also while a server runs on them
    Move(Move),
    /// Show the configuration in force as a pando.toml with comments, without secrets
    Config,
    /// Manage the superusers, who may do everything
    #[command(subcommand)]
    Superuser(Superuser),
    /// Run a whole topology on this machine, until Ctrl-C
    Up(Up),
    /// Show how the nodes of a topology are doing
    Status(Topology),
    /// Stop a topology that runs, or clean up after one that did not stop in order
    Down(Topology),
    /// Make a standby the primary in a topology that runs
    Promote {
        /// The standby; without one, the most advanced
        #[arg(value_name = "NODE", default_value = "any")]
        node: String,
    },
    /// Let an old primary follow the new one in a topology that runs
    Rejoin {
        #[arg(value_name = "NODE")]
        node: String,
    },
    /// End a node and start it again in a topology that runs; balancers and edges without a break
    Restart {
        #[arg(value_name = "NODE")]
        node: String,
    },
}

#[derive(Args)]
pub struct Up {
    /// The topology, as in topologies/4-replicated.toml
    #[arg(value_name = "TOPOLOGY.toml")]
    pub topology: PathBuf,
    /// Give every node as much processor as there is, whatever the topology says
    #[arg(long)]
    pub no_limits: bool,
    /// Leave nodes that die as they are
    #[arg(long)]
    pub no_supervise: bool,
}

#[derive(Args)]
pub struct Topology {
    /// Its name, or nothing if there is only one in ./pando_up; `--dir` names its directory instead
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

impl Command {
    /// As messages and metrics name it.
    pub fn role(&self) -> &'static str {
        match self {
            Command::Serve(_) => "serve",
            Command::Web(_) => "web",
            Command::Worker(_) => "worker",
            Command::Balance(_) => "balance",
            Command::Edge(_) => "edge",
            Command::Purge(_) => "purge",
            Command::FrontStatus(_) => "front-status",
            Command::Types(_) => "types",
            Command::Config => "config",
            Command::Superuser(_) => "superuser",
            Command::Up(_) => "up",
            Command::Status(_) => "status",
            Command::Down(_) => "down",
            Command::Move(_) => "move",
            Command::Promote { .. } => "promote",
            Command::Rejoin { .. } => "rejoin",
            Command::Restart { .. } => "restart",
        }
    }
}

#[derive(Args)]
pub struct Serve {
    /// The address to listen on; `:PORT` is every address [default: 127.0.0.1:8090]
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<String>,
    /// The directory of static files [default: pb_public beside the data directory]
    #[arg(long, value_name = "DIR", alias = "publicDir")]
    pub public_dir: Option<PathBuf>,
    /// Answer paths that lead nowhere with the site's first page, as applications in one page ask for [default: true]
    #[arg(long, value_name = "BOOL", alias = "indexFallback", num_args = 0..=1, default_missing_value = "true")]
    pub index_fallback: Option<bool>,
}

#[derive(Args)]
pub struct Front {
    /// The address to listen on; `:PORT` is every address [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<String>,
    /// The nodes behind it, separated by commas
    #[arg(long, value_name = "HOST:PORT,…")]
    pub to: Option<String>,
}

/// Who asks knows the secret: front.secret in pando.toml, or PANDO_FRONT_SECRET.
#[derive(Args)]
pub struct At {
    /// The control address of a front door
    #[arg(long, value_name = "http://HOST:PORT")]
    pub at: String,
}

#[derive(Args)]
pub struct Purge {
    #[command(flatten)]
    pub at: At,
    /// What answers are tagged with: `c:posts` for a collection's lists, `r:posts/ID` for a record
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// One address: https://host/path?query, or /path?query at every host
    #[arg(long = "url", value_name = "URL")]
    pub urls: Vec<String>,
    /// All addresses that begin so
    #[arg(long = "prefix", value_name = "PREFIX")]
    pub prefixes: Vec<String>,
    /// Everything
    #[arg(long)]
    pub all: bool,
    /// Still serve it while no node answers
    #[arg(long)]
    pub soft: bool,
}

#[derive(Args)]
pub struct Worker {
    /// The address for health and metrics; `:PORT` is every address [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<String>,
}

#[derive(Args)]
pub struct Move {
    /// Where the data goes: postgres://USER:PASSWORD@HOST/DATABASE, or a directory for SQLite
    #[arg(long, value_name = "URL|DIR", required_unless_present = "files")]
    pub to: Option<String>,
    /// Where the files go: s3://BUCKET?endpoint=HOST&region=…&path-style=true with the keys in the variables
    /// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `local` for the data directory
    #[arg(long, value_name = "PLACE")]
    pub files: Option<String>,
    /// Take the request log along
    #[arg(long)]
    pub logs: bool,
    /// Say what would be moved, and what would keep it from being moved
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args)]
pub struct Types {
    /// The file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum Superuser {
    /// Make a new superuser
    Create { email: String, password: String },
    /// Change a superuser's password
    Update { email: String, password: String },
    /// Make a superuser, or change the password of the one there is
    Upsert { email: String, password: String },
    /// Delete a superuser
    Delete { email: String },
}
