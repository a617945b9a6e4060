// A fingerprint of all that the built files depend on. `crates/web/src/dashboard/bundle.rs` computes the same, so that a
// test without Node.js sees when they are out of date.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const SOURCES = ['build', 'index.html', 'package-lock.json', 'package.json', 'src', 'tsconfig.json', 'vite.config.ts'];

function walk(root, path, found) {
  if (statSync(join(root, path)).isDirectory()) {
    for (const name of readdirSync(join(root, path))) walk(root, `${path}/${name}`, found);
  } else {
    found.push(path);
  }
}

export function fingerprint(root) {
  const files = [];
  for (const source of SOURCES) walk(root, source, files);
  files.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const hash = createHash('sha256');
  for (const file of files) {
    const content = readFileSync(join(root, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}
