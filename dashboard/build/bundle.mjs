// Packs what Vite built into the one file that the program embeds: each file compressed once for each coding, so that
// serving compresses nothing. The form is described in `crates/web/src/dashboard/bundle.rs`.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

import { fingerprint } from './sources.mjs';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const built = join(root, 'dist');
const target = process.argv[2] ?? join(root, '../crates/web/dashboard/bundle.bin');

const files = [];
const parts = [];
let length = 0;
function place(bytes) {
  parts.push(bytes);
  length += bytes.length;
  return [length - bytes.length, bytes.length];
}
const paths = readdirSync(built, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(built.length + 1).replaceAll('\\', '/'))
  .sort();
let plain = 0;
for (const path of paths) {
  const content = readFileSync(join(built, path));
  const type = TYPES[extname(path)];
  if (!type) throw new Error(`${path}: what type is that?`);
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
  files.push({
    path,
    type,
    etag: createHash('sha256').update(content).digest('hex').slice(0, 20),
    hashed: path.startsWith('assets/'),
    br: place(brotliCompressSync(content, { params: quality })),
    gzip: place(gzipSync(content, { level: 9 })),
  });
  plain += content.length;
}
const index = JSON.stringify({ source: fingerprint(root), files });
writeFileSync(target, Buffer.concat([Buffer.from(`pando dashboard 1\n${index}\n`), ...parts]));
const br = files.reduce((sum, file) => sum + file.br[1], 0);
console.log(`${files.length} files, ${plain} bytes, ${br} as brotli: ${target}`);
