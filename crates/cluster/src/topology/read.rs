//! From text to a topology. A key that is not known is an error that names the nearest one that is.

use std::path::Path;

use super::Topology;
use crate::error::{Error, read};

/// How alike a wrong key must be to a right one to be named.
const SIMILARITY_MIN: f64 = 0.6;

impl Topology {
    pub fn read(path: impl AsRef<Path>) -> Result<Topology, Error> {
        let path = path.as_ref();
        let text = read(path.to_path_buf())?;
        let located = |message: String| Error::Topology(format!("{}: {message}", path.display()));
        Topology::parse(&text).map_err(|error| located(error.to_string()))
    }

    pub fn parse(text: &str) -> Result<Topology, Error> {
        let parsed = toml::from_str::<Topology>(text);
        let topology = parsed.map_err(|error| Error::Topology(explain(text, &error)))?;
        topology.check()?;
        Ok(topology)
    }

    pub fn render(&self) -> Result<String, Error> {
        toml::to_string_pretty(self).map_err(|error| Error::Topology(error.to_string()))
    }
}

fn explain(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
    let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let message = error.message();
    // Serde names the key and what it could have been, each in backticks.
    let mut names = message.split('`').skip(1).step_by(2);
    match names.next() {
        Some(wrong) if message.starts_with("unknown field") || message.starts_with("unknown variant") => {
            let known: Vec<&str> = names.collect();
            format!("{place}unknown {wrong:?}{}", suggestion(wrong, &known))
        }
        _ => format!("{place}{message}"),
    }
}

fn suggestion(wrong: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match nearest {
        Some((similarity, name)) if similarity >= SIMILARITY_MIN => format!("; did you mean {name:?}?"),
        _ => format!("; there is {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Engine, Failover, Setting};

    fn refused(text: &str) -> String {
        Topology::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let topology = Topology::parse("name = 'a'").unwrap();
        assert_eq!((topology.web.nodes, topology.web.port), (1, 8090));
        assert_eq!((topology.database.engine, topology.databases()), (Engine::Sqlite, 0));
        assert!(topology.database.fsync && !topology.is_limited());
    }

    #[test]
    fn it_reads_what_it_writes() {
        let text = "name = 'a'
            [edges]\nnodes = 2\nshields = 1\nport = 8080\n[balancers]\nnodes = 2\nargs = ['--x']\nenv = { A = 'b' }\ncpu = 0.5
            [web]\nnodes = 2\ncpu = 0.5\nargs = ['--x']\nenv = { A = 'b' }
            [database]\nengine = 'postgres'\nreplicas = 2\nsynchronous = 1\nfailover = 'patroni'\netcd = 3
            settings = { work_mem = '8MB', jit = false, random_page_cost = 1.1, max_connections = 50 }
            [redis]\nmode = 'sentinel'\nmemory_mb = 32\ncpu = 0.25
            [nats]\nnodes = 3\n[queue]\nengine = 'nats'\n[workers]\nnodes = 2\nenv = { A = 'b' }
            [files]\nstore = 's3'\nendpoint = 'http://127.0.0.1:9000'
            [network]\nnamespaces = true\nlatency_ms = 2.0\njitter_ms = 1.0";
        let topology = Topology::parse(text).unwrap();
        assert_eq!(topology.database.failover, Failover::Patroni);
        assert_eq!(topology.database.settings["jit"], Setting::Switch(false));
        assert_eq!(topology.database.settings["jit"].to_string(), "off");
        assert_eq!(Topology::parse(&topology.render().unwrap()).unwrap(), topology);
        assert_eq!((topology.redis.nodes(), topology.redis.sentinels()), (3, 3));
        assert!(topology.is_limited() && !topology.unlimited().is_limited());
    }

    #[test]
    fn wrong_keys_and_values_name_the_right_ones() {
        let said = refused("name = 'a'\n[database]\nreplicsa = 2");
        assert!(said.contains("line 3") && said.contains("did you mean \"replicas\""), "{said}");
        let said = refused("name = 'a'\n[database]\nengine = 'postgre'");
        assert!(said.contains("did you mean \"postgres\""), "{said}");
        let said = refused("name = 'a'\n[balancer]\nnodes = 2");
        assert!(said.contains("did you mean \"balancers\""), "{said}");
        let said = refused("name = 'a'\n[databases]\nreplicas = 2");
        assert!(said.contains("did you mean \"database\""), "{said}");
        assert!(refused("name = 'a'\n[web]\nnodes = 'many'").contains("line 3"));
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_reason() {
        let postgres = "[database]\nengine = 'postgres'\n";
        let redis = |text: &str| format!("name = 'a'\n{postgres}[nats]\nnodes = 1\n[redis]\n{text}");
        for (text, reason) in [
            ("", "name is needed"),
            ("name = 'A b'", "lower-case"),
            ("name = 'a'\n[web]\nnodes = 2", "several web nodes"),
            ("name = 'a'\n[web]\nnodes = 0", "1 or more"),
            ("name = 'a'\n[database]\nreplicas = 1", "replicas"),
            ("name = 'a'\n[web]\nnodes = 64\n[database]\nengine = 'postgres'", "more than"),
            ("name = 'a'\n[web]\nport = 65535\nnodes = 2\n[database]\nengine = 'postgres'", "no 2 ports"),
            (&format!("name = 'a'\n{postgres}[web]\nnodes = 0\n[balancers]\nnodes = 1"), "nobody to ask"),
            ("name = 'a'\n[edges]\nport = 65535\nnodes = 2", "no 2 ports"),
            ("name = 'a'\n[balancers]\nnodes = 64", "more than"),
            ("name = 'a'\n[edges]\nnodes = 1\nshields = 1", "less than"),
            ("name = 'a'\n[balancers]\nnodes = 2\nshields = 1", "only edges"),
            ("name = 'a'\n[edges]\nnodes = 1\ncpu = 0.0", "edges.cpu"),
            (&format!("name = 'a'\n{postgres}replicas = 1\nsynchronous = 2"), "wait for ever"),
            (&format!("name = 'a'\n{postgres}failover = 'patroni'"), "needs a replica"),
            (&format!("name = 'a'\n{postgres}etcd = 2"), "odd number"),
            (&format!("name = 'a'\n{postgres}settings = {{ port = 5 }}"), "follows from the topology"),
            (&format!("name = 'a'\n{postgres}settings = {{ 'a b' = 5 }}"), "not a setting"),
            (&format!("name = 'a'\n{postgres}cpu = 0.0"), "cores"),
            (&format!("name = 'a'\n{postgres}cpus = 'all'"), "cores as in"),
            ("name = 'a'\n[nats]\nnodes = 1", "one process has everything"),
            (&format!("name = 'a'\n{postgres}[redis]\nmode = 'single'"), "over the bus"),
            (&format!("name = 'a'\n{postgres}[nats]\nnodes = 2"), "odd number"),
            (&format!("name = 'a'\n{postgres}[queue]\nengine = 'nats'"), "needs nats.nodes"),
            (&redis("mode = 'single'\nreplicas = 1"), "goes with mode"),
            (&redis("mode = 'sentinel'\nreplicas = 0"), "to promote"),
            (&redis("mode = 'cluster'\nreplicas = 30"), "more than"),
            (&redis("mode = 'single'\nmemory_mb = 1"), "memory_mb"),
            (&redis("mode = 'single'\ncpu = 0.0"), "redis.cpu"),
            ("name = 'a'\n[files]\nendpoint = 'http://x'", "goes with"),
            ("name = 'a'\n[files]\nstore = 's3'\nendpoint = 'x'", "begins with"),
            ("name = 'a'\n[network]\nlatency_ms = 1.0", "namespaces"),
            ("name = 'a'\n[network]\nnamespaces = true\njitter_ms = 1.0", "before it is sent"),
            ("name = 'a'\n[network]\nnamespaces = true\nloss_percent = 101.0", "between 0 and 100"),
        ] {
            let said = refused(text);
            assert!(said.contains(reason), "{text}: {said}");
        }
    }

    #[test]
    fn the_topologies_that_come_along_are_right() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../topologies");
        let files: Vec<_> = std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).collect();
        assert!(files.len() >= 9);
        for file in files {
            Topology::read(&file).unwrap();
        }
    }
}
