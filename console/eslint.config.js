import vueI18n from '@intlify/eslint-plugin-vue-i18n'
import vue from 'eslint-plugin-vue'
import ts from 'typescript-eslint'

// 每个名词一个文件，目录是语言；也认一种语言一个文件。
const locales = { pattern: './src/locales/**/*.json', localeKey: 'path', localePattern: '/locales/(?<locale>zh-CN|en)[/.].*json$' }

export default ts.config(
  { ignores: ['dist', 'node_modules', 'src/api/schema.d.ts', 'test-results', 'playwright-report'] },
  ...ts.configs.recommended,
  ...vue.configs['flat/recommended'],
  ...vueI18n.configs.recommended,
  {
    files: ['**/*.vue'],
    languageOptions: { parserOptions: { parser: ts.parser } },
  },
  {
    settings: { 'vue-i18n': { localeDir: locales, messageSyntaxVersion: '^11.0.0' } },
    rules: {
      'vue/multi-word-component-names': 'off',
      'vue/max-attributes-per-line': 'off',
      'vue/singleline-html-element-content-newline': 'off',
      'vue/html-self-closing': ['error', { html: { void: 'always' } }],
      '@intlify/vue-i18n/no-raw-text': ['error', { ignorePattern: '^(Vega|[-–#:()&·/|+×→↑↓…%,.\\d\\s]+)$', ignoreNodes: ['code', 'kbd', 'pre'] }],
      '@intlify/vue-i18n/no-missing-keys-in-other-locales': 'error',
      '@intlify/vue-i18n/no-unused-keys': ['error', { extensions: ['.ts', '.vue'], enableFix: false, // 运行时才拼出来的键只许在这几节之下。
      ignores: ['/^(error|nav|role|common)\\./', '/^[a-z]+\\.(kind|state|code|outcome|action|scope|source|group|verdict|reason)\\./'] }],
      // 组件与页面不直接碰 API：只经 src/api 与 composables。
      'no-restricted-imports': ['error', { patterns: [{ group: ['openapi-fetch', '@/api/client'], message: '只有 src/api 之内可以用它' }] }],
      'no-restricted-globals': ['error', { name: 'fetch', message: '只经 src/api 与控制面说话' }],
    },
  },
  { files: ['src/api/**'], rules: { 'no-restricted-imports': 'off', 'no-restricted-globals': 'off' } },
  // 浏览器测试在页面之外，直接与 API 说话；Playwright 的夹具要一个空的解构。
  { files: ['e2e/**'], rules: { 'no-restricted-globals': 'off', 'no-empty-pattern': 'off' } },
)
