/** A user's story in a browser, with nothing played: the real main half, daemon and sshd, and a scripted LLM server. */

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { missing, needsBrowser, openBrowser } from './bed.mjs'

const require = createRequire(import.meta.url)
const plugin = require('../../index.js')
const { folder, lack, startLlm, startSshd } = require('../main/lab.js')

const browserLack = needsBrowser()
const peerLack = missing() ? null : lack()
const options = { ...browserLack, ...(peerLack ? { skip: `SKIPPED real peer sshd: ${peerLack}` } : {}), timeout: 120_000 }

/** Puffin's service as far as the plugin touches it. */
class ClaudeService {
  isProcessRunning() { return false }
  async submit() { throw new Error('this is Claude\u2019s') }
  cancel() {}
  sendAnswer() {}
  async buildPrompt({ prompt }) { return prompt }
}

/** The main half as Puffin runs it. */
async function activate({ project, storageDir }) {
  const handlers = new Map()
  const claudeService = new ClaudeService()
  const own = { ...plugin }
  await own.activate({
    pluginName: 'remote-llm-plugin', pluginDir: join(import.meta.dirname ?? '.', '../..'), projectPath: project, storageDir,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    registerIpcHandler: (name, handler) => handlers.set(name, handler),
    getService: name => (name === 'claudeService' ? claudeService : null)
  })
  return {
    claudeService,
    invoke: async (name, params) => structuredClone(await handlers.get(name)(params)),
    deactivate: () => own.deactivate()
  }
}

test('from an empty project to an approved tool, a stopped answer that is continued, and a restart', options, async t => {
  const home = folder(t)
  const homeBefore = process.env.HOME
  // Its known_hosts and keys are not this computer's.
  process.env.HOME = home
  t.after(() => { process.env.HOME = homeBefore })
  const place = { project: folder(t), storageDir: folder(t) }
  const [ssh, llm] = await Promise.all([startSshd(t), startLlm(t, replyOf(place.project))])
  const browser = await openBrowser()
  t.after(() => browser.close())
  let app = await activate(place)
  t.after(() => app.deactivate())

  const panel = await browser.panel({ bridge: 1 }, [1200, 1400], app.invoke)
  await panel.evaluate(() => localStorage.clear())
  await panel.sees('No server yet.')
  await panel.click('Add server')
  await panel.fill('Paste an ssh command', `ssh -i ${ssh.privateKeyPath} -p ${ssh.port} root@127.0.0.1`)
  await panel.press('Enter')
  await panel.sees('The form is filled.')
  await panel.fill('LLM address on that machine', llm.endpoint)
  await panel.click('Test')
  await panel.until(() => document.querySelector('.rllm-stage .rllm-question')?.closest('.rllm-stage').innerText.includes('Check the host key'))
  const before = await panel.evaluate(() => [...document.querySelectorAll('.rllm-stage')].slice(0, 3).map(row => row.dataset.state))
  assert.deepEqual(before, ['passed', 'passed', 'passed'], 'the stages are told while the test runs')
  await panel.click('Accept and remember')
  await panel.sees('Ready: vLLM')
  assert.equal(existsSync(join(place.project, '.puffin')), false, 'a test saves nothing')
  await panel.click('Save')
  await panel.sees('127.0.0.1 is saved.')
  await panel.click('Connect')
  await panel.sees('Ready, ')
  await panel.until(() => document.querySelector('[aria-label="Default model: smol"]'))
  await panel.evaluate(() => document.querySelector('[aria-label="Default model: smol"]').click())
  await panel.sees('smol is the default model of 127.0.0.1.')
  await panel.shoot('story-ready')

  const model = await panel.evaluate(() => {
    const select = document.getElementById('thread-model')
    select.value = select.querySelector('optgroup option').value
    select.dispatchEvent(new Event('change'))
    return select.value
  })
  assert.match(model, /^remote-llm:[^:]+:smol$/)
  const submit = (prompt, more) => {
    const seen = { chunks: '' }
    const done = app.claudeService.submit({ prompt, sessionId: null, model, maxTurns: 40, ...more }, piece => { seen.chunks += piece }, () => {}, () => {})
    return { seen, done }
  }

  const first = submit('Write b.txt')
  await panel.sees('+beta')
  assert.equal(await panel.focused(), 'Deny')
  await panel.shoot('story-approval')
  assert.equal(existsSync(join(place.project, 'b.txt')), false, 'nothing is written before the yes')
  await panel.click('Allow once')
  const response = await first.done
  assert.equal(response.content, 'It is written.')
  assert.equal(readFileSync(join(place.project, 'b.txt'), 'utf8'), 'beta')
  await panel.sees('complete')

  const second = submit('Never end')
  await panel.sees('answering, 4 characters')
  await panel.click('Stop the prompt to smol')
  const stopped = await second.done
  assert.deepEqual([stopped.content, stopped.cancelled], ['Half', true])
  await panel.sees('stopped by you')
  await panel.shoot('story-usage')

  await panel.click('History')
  await panel.sees('interrupted · 127.0.0.1 · smol · 2 messages')
  await panel.click('Never end', '.rllm-conversations')
  await panel.sees('✂ cut off here')
  await panel.sees('You stopped the answer. What was said is kept.')
  await panel.click('Continue', '.rllm-go-on')
  await panel.until(() => document.querySelectorAll('.rllm-messages .rllm-said')[1]?.textContent === 'Half and half.')
  assert.deepEqual(await saidIn(panel), ['Never end', 'Half and half.'], 'one question and one answer')
  assert.equal(await panel.evaluate(() => document.querySelector('.rllm-interrupted').hidden), true)
  await panel.shoot('story-continued')
  assert.deepEqual(panel.complaints, [])

  await app.deactivate()
  app = await activate(place)
  const again = await browser.panel({ bridge: 1 }, [1200, 1400], app.invoke)
  await again.open('127.0.0.1')
  await again.sees('Default model: smol.')
  await again.until(picked => document.getElementById('thread-model').value === picked, model)
  await again.click('Connect')
  await again.sees('Ready, ')
  const third = await submit('And now?', { sessionId: response.sessionId }).done
  assert.equal(third.content, 'All is still there.')

  await again.click('History')
  await again.sees('2 conversations.')
  await again.fill('Find a conversation', 'never')
  await again.sees('1 conversation.')
  await again.click('Never end', '.rllm-conversations')
  await again.sees('Half and half.')
  await again.fill('What to say next', 'And now, here?')
  await again.click('Send')
  await again.until(() => document.querySelectorAll('.rllm-messages > li').length === 4)
  assert.deepEqual(await saidIn(again), ['Never end', 'Half and half.', 'And now, here?', 'All is lost.'])
  await again.shoot('story-history')
  assert.deepEqual(again.complaints, [])
})

const saidIn = panel => panel.evaluate(() => [...document.querySelectorAll('.rllm-messages .rllm-said')].map(({ textContent }) => textContent))

/** What the model says to each prompt. */
function replyOf(project) {
  const write = { file_path: join(project, 'b.txt'), content: 'beta' }
  return ({ messages }) => {
    const last = messages.at(-1)
    if (last.role === 'tool') return [{ role: 'assistant', content: 'It is written.' }]
    if (last.role === 'assistant') return [{ content: ' and half.' }]
    const said = JSON.stringify(last.content)
    if (said.includes('Never end')) return [{ role: 'assistant', content: 'Half' }, 'hang']
    if (said.includes('And now')) return [{ role: 'assistant', content: messages.some(({ role }) => role === 'tool') ? 'All is still there.' : 'All is lost.' }]
    return [{ tool_calls: [{ index: 0, id: 'c1', type: 'function', function: { name: 'Write', arguments: JSON.stringify(write) } }] }]
  }
}
