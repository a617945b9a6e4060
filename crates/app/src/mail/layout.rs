//! The page that every mail stands on. Mail programs know little of HTML: one table, styles in place, and nothing
//! that is loaded from elsewhere.

const BEFORE: &str = r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>
body { margin: 0; padding: 0; background: #f4f5f4; }
.sheet { background: #ffffff; border: 1px solid #e2e5e2; border-radius: 8px; color: #1d211e;
  font: 15px/1.55 -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
.sheet p { margin: 0 0 16px; }
.sheet p:last-child { margin-bottom: 0; color: #66706a; }
.sheet a { color: #2f7d4f; font-weight: 600; }
.sheet strong { letter-spacing: 0.04em; }
@media (prefers-color-scheme: dark) {
  body { background: #161917; }
  .sheet { background: #1f2421; border-color: #333a36; color: #e6eae7; }
  .sheet p:last-child { color: #98a39c; }
  .sheet a { color: #79c797; }
}
</style>
</head>
<body>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr><td align="center" style="padding:24px 12px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:560px"><tr><td class="sheet" style="padding:28px 32px">
"##;

const AFTER: &str = "\n</td></tr></table>\n</td></tr></table>\n</body>\n</html>\n";

pub(super) fn around(body: &str) -> String {
    [BEFORE, body, AFTER].concat()
}
