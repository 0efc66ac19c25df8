/**
 * The panel in the real Puffin's own loader and view container, under its content policy and styles.
 * Needs a checkout: PUFFIN_SOURCE=/path/to/puffin node --test test/browser/in-puffin.test.mjs
 */

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { missing, needsBrowser } from './bed.mjs'
import { findChromium, launch } from './browser.mjs'

const SOURCE = process.env.PUFFIN_SOURCE
const options = { ...needsBrowser(), ...(SOURCE ? {} : { skip: 'PUFFIN_SOURCE names no checkout of Puffin' }), timeout: 60_000 }
const pluginDir = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

test('Puffin’s loader takes the entry, its container mounts the view, and nothing is left of it', options, async t => {
  assert.equal(missing(), null)
  const place = mkdtempSync(join(tmpdir(), 'rllm-puffin-'))
  t.after(() => rmSync(place, { recursive: true, force: true }))
  const browser = await launch(findChromium())
  t.after(() => browser.close())
  const page = join(place, 'host.html')
  writeFileSync(page, hostPage())
  const tab = await browser.newPage()
  await tab.resize(1400, 900)
  await tab.goto(pathToFileURL(page).href)
  await tab.until(() => window.mounted)
  assert.deepEqual(await tab.evaluate(() => window.mounted), { styles: { loaded: ['renderer/remote-llm.css'], errors: [] }, view: true, activated: true })
  await tab.until(() => document.querySelectorAll('.rllm-server').length === 5)
  assert.equal(await tab.evaluate(() => getComputedStyle(document.querySelector('.rllm-columns')).display), 'grid')
  await tab.evaluate(() => window.disable())
  assert.deepEqual(await tab.evaluate(() => [document.querySelectorAll('[class*="rllm-"]').length, document.getElementById('thread-model').outerHTML]), [0, '<select id="thread-model"><option value="opus">Opus</option></select>'])
  assert.deepEqual(tab.complaints, [])
})

/** Puffin's policy is read from its own page. */
function hostPage() {
  const file = path => pathToFileURL(join(SOURCE, 'src/renderer', path)).href
  const own = path => pathToFileURL(join(pluginDir, path)).href
  const manifest = JSON.parse(readFileSync(join(pluginDir, 'puffin-plugin.json'), 'utf8'))
  const policy = /<meta http-equiv="Content-Security-Policy"[^>]*>/.exec(readFileSync(join(SOURCE, 'src/renderer/index.html'), 'utf8'))[0]
  const config = { success: true, hasRenderer: true, pluginDir, ...manifest.renderer }
  const view = { ...manifest.contributes.views[0], pluginName: manifest.name }
  return `<!doctype html><html lang="en"><head>${policy}
${['main', 'components', 'themes'].map(name => `<link rel="stylesheet" href="${file(`styles/${name}.css`)}">`).join('\n')}
</head><body><select id="thread-model"><option value="opus">Opus</option></select>
<div id="plugin-view-container" class="plugin-view-container has-active-view"><div class="plugin-view-panel active" id="panel"></div></div>
<script type="module">
import { createFakeMain } from '${own('stand-in/fake-main.js')}'
import { handlersOf, variety } from '${own('stand-in/servers.js')}'
const configs = variety()
const main = createFakeMain(handlersOf(configs), () => ({ configs, daemon: { phase: 'ready' } }))
const off = []
window.puffin = { plugins: {
  invoke: main.invoke, onPluginActivated: () => () => {}, onPluginDeactivated: listener => { off.push(listener); return () => {} },
  listActive: async () => ({ success: true, plugins: ['${manifest.name}'] }), getRendererConfig: async () => (${JSON.stringify(config)})
} }
const { pluginComponentLoader } = await import('${file('plugins/plugin-component-loader.js')}')
const { pluginViewContainer } = await import('${file('plugins/plugin-view-container.js')}')
const { StyleInjector } = await import('${file('plugins/style-injector.js')}')
const injector = new StyleInjector()
injector.init()
const styles = await injector.injectPluginStyles('${manifest.name}', ${JSON.stringify(manifest.renderer.styles)}, '${pluginDir}')
pluginViewContainer.init()
await pluginComponentLoader.init()
const view = await pluginViewContainer.renderView('v', ${JSON.stringify(view)}, document.getElementById('panel'))
const activated = await pluginViewContainer.activateView('v')
window.disable = async () => {
  off.forEach(listener => listener({ name: '${manifest.name}' }))
  await pluginViewContainer.destroyPluginComponents('${manifest.name}')
}
window.mounted = { styles, view: Boolean(view), activated }
</script></body></html>`
}
