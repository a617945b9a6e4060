// What every browser test begins with. The Rust side says by the environment where the server, the browser and the packages are.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const { BASE, CHROMIUM, PLAYWRIGHT, AXE, SHOTS } = process.env;
const { chromium } = (await import(PLAYWRIGHT)).default;
const axe = readFileSync(AXE, 'utf8');

export const base = BASE;
export const ROOT = [process.env.EMAIL ?? 'root@example.com', process.env.PASSWORD ?? 'a-long-password'];
const WAIT_MS = 60_000;

export function check(holds, what) {
  if (!holds) throw new Error(what);
}

export async function browse(test, options = {}) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  try {
    await inContext(browser, options, test);
  } finally {
    await browser.close();
  }
}

/** Whatever the page complains of fails the test, unless the test expects it: a refused request is logged by the browser. */
async function inContext(browser, { expected = [], ...options }, test) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  try {
    await test(page, context, browser);
  } catch (error) {
    // What the page looked like says more than which line waited.
    await shot(page, 'failed').catch(() => {});
    throw error;
  }
  const left = complaints.filter((text) => !expected.some((one) => text.includes(one)));
  check(left.length === 0, `the page complained: ${left.join('\n')}`);
  await context.close();
}

export const open = (page, path) => page.goto(`${BASE}/_/#${path}`);

export async function signIn(page) {
  await open(page, '/');
  await page.getByLabel('Email').fill(ROOT[0]);
  await page.getByLabel('Password', { exact: false }).first().fill(ROOT[1]);
  await page.locator('button[type=submit]').click();
  await page.locator('nav.rail').waitFor();
}

/** Serious faults of accessibility, as axe-core judges them. */
export async function accessible(page, where) {
  await page.evaluate(axe);
  // What is still fading in has not its colours yet.
  await page.evaluate(() => {
    const ending = document.getAnimations().filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime));
    return Promise.allSettled(ending.map((one) => one.finished));
  });
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ['violations'] });
    return violations
      .filter((one) => ['serious', 'critical'].includes(one.impact))
      .map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target} ${node.failureSummary}`).join('; ')}`);
  });
  check(found.length === 0, `${where}: ${found.join('\n')}`);
}

export async function shot(page, name) {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

/** The variants that every page must be fit for. */
const VARIANTS = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 780 }, hasTouch: true },
  ko: { colorScheme: 'light', locale: 'ko-KR' },
};

/** Shows pages in every variant, looks for faults and keeps pictures. A page is a name, a path, and what to do there until it
 * is ready. */
export async function tour(pages, options = {}) {
  await browse(async (first, context, browser) => {
    await signIn(first);
    const kept = await first.evaluate(() => localStorage.getItem('pando.session'));
    for (const [variant, settings] of Object.entries(VARIANTS)) {
      await inContext(browser, { ...settings, ...options }, async (page) => {
        await page.addInitScript((session) => localStorage.setItem('pando.session', session), kept);
        for (const [name, path, ready] of pages) {
          await open(page, path);
          await page.reload();
          await ready(page);
          await shot(page, `${name}-${variant}`);
          await accessible(page, `${name} (${variant})`);
        }
      });
    }
  }, options);
}
