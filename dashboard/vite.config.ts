import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, loadEnv } from 'vite';

// Relative addresses, so that the dashboard works below any path of a proxy.
export default defineConfig(({ mode }) => ({
  base: './',
  plugins: [svelte()],
  build: {
    target: 'es2022',
    // No inline data: the content security policy names this server's files only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: { '/api': loadEnv(mode, '.', 'PANDO_').PANDO_URL ?? 'http://127.0.0.1:8090' },
  },
}));
