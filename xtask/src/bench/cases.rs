//! What is asked of the servers, as Lua for `wrk`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use testkit::Server;

use super::data;

pub struct Case {
    pub name: &'static str,
    /// The collection whose rule wants the owner's token.
    pub owned: bool,
    /// Lua that returns one request; `id()`, `views()` and `serial()` are at hand.
    request: &'static str,
}

pub const CASES: &[Case] = &[
    Case { name: "view", owned: false, request: "wrk.format('GET', posts .. '/' .. id(), headers)" },
    Case {
        name: "view under a rule",
        owned: true,
        request: "wrk.format('GET', posts .. '/' .. id(), headers)",
    },
    Case {
        name: "list: filter and sort, 30",
        owned: false,
        request: "wrk.format('GET', posts .. '?skipTotal=1&perPage=30&sort=-views&filter=views%20%3C%20' .. views(), headers)",
    },
    Case {
        name: "list: with total and expand, 30",
        owned: false,
        request: "wrk.format('GET', posts .. '?perPage=30&sort=-views&expand=author&filter=views%20%3C%20' .. views(), headers)",
    },
    Case {
        name: "create",
        owned: false,
        request: "wrk.format('POST', posts, headers, '{\"title\":\"new ' .. serial() .. '\",\"body\":\"' .. text .. '\",\"views\":' .. views() .. ',\"author\":\"' .. author() .. '\"}')",
    },
    Case {
        name: "update",
        owned: false,
        request: "wrk.format('PATCH', posts .. '/' .. id(), headers, '{\"views\":' .. views() .. '}')",
    },
];

/// Lua that prints what [`super::wrk`] reads.
pub const DONE: &str = r"
done = function(summary, latency)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format('result %d %d %d %d %d\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), failed))
end
";

/// The token that a case is asked with, if any.
pub fn token(case: &Case, server: &Server) -> Result<Option<String>> {
    case.owned.then(|| server.login("users", data::OWNER.0, data::OWNER.1)).transpose()
}

/// Writes the script of one case for the server on that port.
pub fn script(
    case: &Case,
    port: u16,
    token: Option<String>,
    records: usize,
    seed: usize,
    dir: &Path,
) -> Result<PathBuf> {
    let token = token.map(|token| format!("headers['Authorization'] = '{token}'\n")).unwrap_or_default();
    let collection = if case.owned { "owned" } else { "posts" };
    let lua = format!(
        r#"
math.randomseed({seed} + 1)
local posts = '/api/collections/{collection}/records'
local headers = {{}}
headers['Content-Type'] = 'application/json'
{token}
local text = string.rep('lorem ipsum ', 16)
local count = 0
local function id() return string.format('p%014d', math.random({records})) end
local function author() return string.format('a%014d', math.random({authors})) end
local function views() return math.random({records}) end
local function serial() count = count + 1 return count end
request = function() return {request} end
{DONE}"#,
        authors = data::authors(records),
        request = case.request,
    );
    let path = dir.join(format!("{port}.lua"));
    std::fs::write(&path, lua)?;
    Ok(path)
}
