/** The panel in a browser, over the stand-in for Puffin. */

import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findChromium, launch } from './browser.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const page = new URL('../../stand-in/page.html', import.meta.url)

/** @returns {string|null} why the browser tests cannot run here */
export function missing() {
  if (!findChromium()) return 'there is no Chromium (Debian: apt-get install chromium)'
  if (!axePath()) return 'axe-core is not installed (npm ci in puffin-plugin/test/browser)'
  return null
}

function axePath() {
  try {
    return createRequire(import.meta.url).resolve('axe-core/axe.min.js')
  } catch {
    return null
  }
}

/** What `test` is given: skipped with the reason, or failed where every peer has to be there. */
export function needsBrowser() {
  const reason = missing()
  if (!reason) return {}
  if (process.env.PUFFIN_REQUIRE_PEERS === '1') throw new Error(`The browser tests have to run: ${reason}.`)
  return { skip: `SKIPPED real peer chromium: ${reason}` }
}

export async function openBrowser() {
  const browser = await launch(findChromium())
  return {
    close: browser.close,
    /**
     * @param {Object<string, string|number>} [wanted] of stand-in/page.js
     * @param {[number, number]} [size]
     * @param {(name: string, params: object) => Promise<object>} [invoke] a real main half, for `bridge`
     */
    async panel(wanted = {}, [width, height] = [1200, 900], invoke = null) {
      const tab = await browser.newPage()
      await tab.resize(width, height)
      if (invoke) await bridge(tab, invoke)
      const url = new URL(page)
      for (const [name, value] of Object.entries({ open: 1, ...wanted })) if (value !== undefined) url.searchParams.set(name, value)
      await tab.goto(url.href)
      await tab.until(() => document.documentElement.dataset.ready === 'true')
      return { ...tab, ...verbs(tab) }
    }
  }
}

/** Carries what the page asks of main to a real one, as Puffin's IPC does. */
async function bridge(tab, invoke) {
  tab.on('Runtime.bindingCalled', async ({ payload }) => {
    const { id, name, params } = JSON.parse(payload)
    const answer = await invoke(name, params)
    await tab.evaluate((asked, given) => window.bridgeAnswer(asked, given), id, answer).catch(() => {})
  })
  await tab.send('Runtime.addBinding', { name: 'bridgeAsk' })
}

function verbs(tab) {
  return {
    /** Chooses the server of that name in the list. */
    open: name => tab.until(wanted => {
      const found = [...document.querySelectorAll('.rllm-server')].find(server => server.querySelector('.rllm-server-name').textContent === wanted)
      found?.click()
      return Boolean(found)
    }, name),
    /** Presses the button with that text, as a person sees it. */
    click: (text, within = 'body') => tab.until((wantedText, scope) => {
      const named = element => [...element.childNodes].filter(node => node.ariaHidden !== 'true').map(node => node.textContent).join('')
      const seen = [...document.querySelectorAll(`${scope} :is(button, summary)`)].find(element => element.offsetParent !== null && !element.disabled && (element.getAttribute('aria-label') ?? named(element)).trim().startsWith(wantedText))
      seen?.click()
      return Boolean(seen)
    }, text, within),
    /** Types into the field with that label. */
    async fill(label, text) {
      await tab.until(wanted => {
        const field = [...document.querySelectorAll('label')].find(element => element.textContent.trim().startsWith(wanted) && element.control?.offsetParent)?.control
        field?.focus()
        field?.select?.()
        return Boolean(field)
      }, label)
      await tab.type(text)
    },
    sees: text => tab.until(wanted => document.body.innerText.includes(wanted), text),
    text: selector => tab.evaluate(wanted => document.querySelector(wanted)?.innerText ?? null, selector),
    focused: () => tab.evaluate(() => (document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent ?? '').trim()),
    calls: name => tab.evaluate(wanted => window.standIn.main.calls.filter(call => call.name === wanted).map(call => call.params), name),
    /** Findings of axe that are serious or critical, each as one line. */
    async axe() {
      if (!(await tab.evaluate(() => 'axe' in window))) await tab.evaluate(readFileSync(axePath(), 'utf8'))
      return tab.evaluate(async () => {
        const { violations } = await window.axe.run(document, { resultTypes: ['violations'] })
        return violations.filter(({ impact }) => ['serious', 'critical'].includes(impact)).flatMap(({ id, impact, nodes }) => nodes.map(({ target, failureSummary }) => `${impact} ${id} ${target.join(' ')} ${failureSummary.replace(/\s+/g, ' ')}`))
      })
    },
    /** A picture for people, in test/browser/shots. */
    async shoot(name) {
      await mkdir(join(here, 'shots'), { recursive: true })
      await writeFile(join(here, 'shots', `${name}.png`), await tab.screenshot())
    }
  }
}
