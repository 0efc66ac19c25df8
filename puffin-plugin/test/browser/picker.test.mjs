import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { missing, needsBrowser, openBrowser } from './bed.mjs'

const options = { ...needsBrowser(), timeout: 60_000 }
let browser
before(async () => { browser = missing() ? null : await openBrowser() })
after(() => browser?.close())

const offered = () => [...document.querySelectorAll('#thread-model optgroup[label="Remote LLM"] option')].map(({ value }) => value)
const picked = () => document.getElementById('thread-model').value
const QWEN = 'remote-llm:gpu1:qwen3:30b'

/** A page whose picker has the model, chosen as a person does it. */
async function withPicked() {
  const panel = await browser.panel({ open: undefined })
  await panel.evaluate(() => localStorage.clear())
  await panel.until(() => document.querySelector('#thread-model optgroup option'))
  await panel.evaluate(value => {
    const select = document.getElementById('thread-model')
    select.value = value
    select.dataset.userChanged = 'true'
    select.dispatchEvent(new Event('change'))
  }, QWEN)
  return panel
}

test('the picker offers remote models beside Puffin’s own, and main hears what is picked', options, async () => {
  const panel = await withPicked()
  assert.deepEqual(await panel.evaluate(offered), [QWEN])
  await panel.until(value => window.standIn.main.calls.some(call => call.name === 'set-picked-model' && call.params.value === value), QWEN)
})

test('a choice outlives a list that Puffin writes anew, a new thread and its reset, and the page', options, async () => {
  const panel = await withPicked()
  await panel.evaluate(() => {
    document.getElementById('thread-model').innerHTML = '<option value="opus">Opus</option><option value="haiku" selected>Haiku</option>'
  })
  await panel.until(value => document.getElementById('thread-model').value === value, QWEN)
  assert.equal(await panel.evaluate(() => document.querySelectorAll('#thread-model optgroup').length), 1)

  // Puffin forgets that a person chose, and would set its configured model at the next change.
  await panel.evaluate(() => delete document.getElementById('thread-model').dataset.userChanged)
  await panel.until(() => document.getElementById('thread-model').dataset.userChanged === 'true')

  const again = await browser.panel({ open: undefined })
  await again.until(value => document.getElementById('thread-model').value === value, QWEN)
})

test('a choice of Puffin’s own models is left alone', options, async () => {
  const panel = await withPicked()
  await panel.evaluate(() => {
    const select = document.getElementById('thread-model')
    select.value = 'opus'
    select.dispatchEvent(new Event('change'))
    delete select.dataset.userChanged
  })
  await panel.until(() => window.standIn.main.calls.some(call => call.name === 'set-picked-model' && call.params.value === 'opus'))
  assert.deepEqual(await panel.evaluate(() => {
    const select = document.getElementById('thread-model')
    return [select.value, select.dataset.userChanged ?? null, localStorage.length]
  }), ['opus', null, 0])
})

test('a disabled plugin leaves the page as it was, and an enabled one is back', options, async () => {
  const panel = await withPicked()
  await panel.evaluate(async () => {
    await window.standIn.open()
    window.standIn.disable()
  })
  assert.deepEqual(await panel.evaluate(() => ({
    picker: document.getElementById('thread-model').outerHTML,
    value: document.getElementById('thread-model').value,
    left: document.querySelectorAll('[class^="rllm-"]').length
  })), {
    picker: '<select id="thread-model"><option value="opus">Opus</option><option value="sonnet" selected="">Sonnet</option></select>',
    value: 'sonnet',
    left: 0
  })
  await panel.evaluate(() => window.standIn.enable())
  await panel.until(value => document.getElementById('thread-model').value === value, QWEN)
  assert.equal(await panel.evaluate(picked), QWEN)
})
