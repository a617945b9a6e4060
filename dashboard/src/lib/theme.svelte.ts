/** Light, dark, or as the system has it. */
export type Theme = 'system' | 'light' | 'dark';

const KEY = 'pando.theme';
const dark = window.matchMedia('(prefers-color-scheme: dark)');

function stored(): Theme {
  const found = localStorage.getItem(KEY);
  return found === 'light' || found === 'dark' ? found : 'system';
}

class ThemeState {
  chosen = $state<Theme>(stored());
  isDark = $state(false);

  constructor() {
    dark.addEventListener('change', () => this.show());
    this.show();
  }

  choose(theme: Theme): void {
    this.chosen = theme;
    if (theme === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
    this.show();
  }

  private show(): void {
    this.isDark = this.chosen === 'dark' || (this.chosen === 'system' && dark.matches);
    document.documentElement.dataset.theme = this.isDark ? 'dark' : 'light';
  }
}

export const theme = new ThemeState();
