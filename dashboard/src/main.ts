import './app.css';

import { mount } from 'svelte';

import App from './App.svelte';
import { start } from './lib/session.svelte';

// After an update of the server, the chunks that an open page still names are gone.
window.addEventListener('vite:preloadError', (event) => {
  event.preventDefault();
  if (sessionStorage.getItem('pando.reloaded') !== location.hash) {
    sessionStorage.setItem('pando.reloaded', location.hash);
    location.reload();
  }
});

const target = document.getElementById('app');
if (target) {
  start();
  mount(App, { target });
}
