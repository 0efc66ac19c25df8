import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { missing, needsBrowser, openBrowser } from './bed.mjs'

const options = { ...needsBrowser(), timeout: 120_000 }
let browser
before(async () => { browser = missing() ? null : await openBrowser() })
after(() => browser?.close())

const tested = (name, job) => test(name, options, job)
const question = { questionId: 'q', kind: 'password', host: 'gpu2', hop: 1, hops: 1, prompts: [{ text: 'ai@gpu2\u2019s password: ', echo: false }], attempt: 2, canRemember: true }

tested('from an empty list to a chosen model: paste, test, answer, save, connect', async () => {
  const panel = await browser.panel({ servers: 0 })
  await panel.sees('No server yet.')
  await panel.click('Add server')
  await panel.fill('Paste an ssh command', 'ssh -J bastion ai@gpu9')
  await panel.press('Enter')
  await panel.sees('The form is filled.')
  await panel.click('Test')
  // The question stands in the row of the last machine's host key.
  await panel.until(() => document.querySelector('.rllm-stage .rllm-question')?.closest('.rllm-stage').innerText.includes('Check the host key (hop 2)'))
  assert.equal(await panel.focused(), 'Reject')
  await panel.shoot('host-key-in-its-row')
  await panel.fill('Fingerprint from the administrator', 'SHA256:AAAAztksCsDhcc0u9e8BrNQkLxrwTy9IQfQs2KqMNkk')
  await panel.sees('It is another fingerprint.')
  assert.equal(await panel.evaluate(() => [...document.querySelectorAll('.rllm-question button')].filter(button => button.disabled).length), 2)
  await panel.fill('Fingerprint from the administrator', 'SHA256:uNiVztksCsDhcc0u9e8BrNQkLxrwTy9IQfQs2KqMNkk')
  await panel.sees('It is the same fingerprint.')
  await panel.click('Accept and remember')
  await panel.fill('Passcode:', '123456')
  await panel.press('Enter')
  await panel.sees('Ready: Ollama 0.12.6 on gpu9, 4 models')
  assert.deepEqual(await panel.calls('configure'), [], 'a test saves nothing')
  await panel.click('Save')
  await panel.sees('gpu9 is saved.')
  await panel.click('Connect')
  await panel.sees('Ready, 38 ms')
  await panel.until(() => document.querySelector('[aria-label="Default model: gemma3:27b"]'))
  await panel.evaluate(() => document.querySelector('[aria-label="Default model: gemma3:27b"]').click())
  await panel.sees('gemma3:27b is the default model of gpu9.')
  await panel.shoot('saved-and-connected')

  const [saved] = await panel.calls('configure')
  assert.deepEqual(saved, { name: 'gpu9', ssh: { host: 'gpu9', username: 'ai', jumpHosts: [{ host: 'bastion' }] }, llm: { apiEndpoint: 'http://127.0.0.1:11434' } })
  assert.deepEqual(await panel.calls('answer'), [
    { questionId: 'q1', decision: 'accept', fingerprint: 'SHA256:uNiVztksCsDhcc0u9e8BrNQkLxrwTy9IQfQs2KqMNkk' },
    { questionId: 'q2', answers: ['123456'] }
  ])
  assert.deepEqual(panel.complaints, [])
})

tested('the same by keyboard alone', async () => {
  const panel = await browser.panel({ servers: 0 })
  await panel.sees('No server yet.')
  await panel.evaluate(() => document.getElementById('thread-model').focus())
  await panel.press('Tab')
  assert.equal(await panel.focused(), 'Add server')
  await panel.press('Enter')
  await panel.until(() => document.activeElement.placeholder?.startsWith('ssh -J'))
  await panel.type('ssh ai@gpu9')
  await panel.press('Enter')
  await panel.sees('The form is filled.')
  for (let n = 0; n < 30 && (await panel.focused()) !== 'Test'; n++) await panel.press('Tab')
  await panel.press(' ')
  await panel.until(() => document.activeElement.textContent === 'Reject')
  await panel.press('Enter')
  await panel.sees('You rejected the key of gpu9.')
  await panel.sees('Ask the administrator for its fingerprint.')
  assert.deepEqual((await panel.calls('answer'))[0].decision, 'reject')
  await panel.click('Report')
  await panel.until(() => document.querySelector('.rllm-report').value.includes('SSH_HOST_KEY_REJECTED: You rejected the key of <host>.'))
})

tested('arrows go through the servers, and Enter opens one', async () => {
  const panel = await browser.panel()
  await panel.until(() => document.querySelectorAll('.rllm-server').length === 5)
  await panel.evaluate(() => document.querySelector('.rllm-server[tabindex="0"]').focus())
  for (const key of ['End', 'ArrowUp', 'ArrowDown']) await panel.press(key)
  await panel.press('Enter')
  await panel.until(() => document.querySelector('.rllm-heading').textContent === 'GPU 4')
  assert.match(await panel.text('.rllm-head'), /gpu4 did not accept user ai .* Add one of these keys/)
})

tested('a saved password is replaced or forgotten, and never shown', async () => {
  const panel = await browser.panel()
  await panel.open('GPU 4')
  await panel.sees('A password is saved')
  await panel.click('Replace: Password')
  await panel.fill('Password', 'correct horse')
  await panel.click('Save')
  await panel.sees('GPU 4 is saved.')
  assert.equal((await panel.calls('configure'))[0].ssh.password, 'correct horse')
  await panel.sees('A password is saved')
  assert.equal(await panel.evaluate(() => [...document.querySelectorAll('input')].some(input => input.value === 'correct horse')), false)
  await panel.click('Forget: Password')
  await panel.click('Save')
  await panel.until(() => window.standIn.main.calls.filter(call => call.name === 'configure').length === 2)
  assert.equal((await panel.calls('configure'))[1].ssh.password, null)
})

tested('models are typed by hand; what is wrong is said at its field, which has the focus', async () => {
  const panel = await browser.panel()
  await panel.open('GPU 2')
  await panel.click('More')
  await panel.click('Add a model')
  await panel.until(() => document.activeElement.placeholder === 'as the server spells it')
  await panel.type('qwen3:30b')
  await panel.fill('Context window', '40k')
  await panel.click('More')
  await panel.click('Save')
  await panel.until(() => document.activeElement.getAttribute('aria-invalid') === 'true' && document.activeElement.value === '40k')
  await panel.sees('✕ Context window is a number.')
  assert.deepEqual(await panel.calls('configure'), [])
  await panel.fill('Context window', '40960')
  await panel.evaluate(() => {
    for (const [label, value] of [['Calls tools', 'yes'], ['Ollama: the model thinks first', 'low']]) {
      const select = [...document.querySelectorAll('label')].find(element => element.textContent === label).control
      select.value = value
      select.dispatchEvent(new Event('change'))
    }
  })
  await panel.fill('CA or certificate file', 'nowhere')
  await panel.click('Save')
  await panel.until(() => document.activeElement.value === 'nowhere' && document.activeElement.getAttribute('aria-invalid') === 'true')
  await panel.until(() => [...document.querySelectorAll('.rllm-problem')].some(element => element.textContent === 'CA or certificate file must begin with / or ~/.'))
  assert.deepEqual(await panel.axe(), [])
  await panel.fill('CA or certificate file', '/ca.pem')
  await panel.click('Save')
  await panel.sees('GPU 2 is saved.')
  const { llm } = (await panel.calls('configure')).at(-1)
  assert.deepEqual([llm.models, llm.ollama], [[{ id: 'qwen3:30b', contextWindow: 40960, tools: true }], { think: 'low' }])
  assert.match(await panel.evaluate(() => [...document.querySelectorAll('#thread-model option')].map(({ textContent }) => textContent).join()), /qwen3:30b \(GPU 2\)/)
})

tested('a server of the project does nothing until it is trusted by the digest that is shown', async () => {
  const panel = await browser.panel({ theme: 'light' })
  await panel.open('From the project')
  await panel.sees('run a program on this computer to reach shared.lab.example: nc -X 5 -x proxy:1080 %h %p')
  await panel.shoot('trust')
  await panel.click('Trust this server')
  await panel.sees('From the project is trusted on this computer.')
  assert.deepEqual(await panel.calls('trust-config'), [{ configId: 'shared', digest: 'sha256:2f1c9a7be0' }])
  assert.equal(await panel.evaluate(() => document.querySelector('.rllm-banner').hidden), true)
})

tested('an approval is over every view, Deny first; Escape denies, and the focus goes back', async () => {
  const panel = await browser.panel({ open: undefined })
  await panel.evaluate(() => document.getElementById('thread-model').focus())
  const approvals = [
    { callId: 'c1', name: 'Bash', command: 'rm -rf build \u202E#', where: '/home/ai/project', afterUntrustedRead: true },
    { callId: 'c2', name: 'Edit', where: 'src/a.js', diff: '--- a/src/a.js\n+++ b/src/a.js\n@@ -1 +1 @@\n-old <b>\n+new' }
  ]
  await panel.evaluate(asked => window.standIn.main.emit(...asked.map(approval => ({ type: 'approval', approval }))), approvals)
  await panel.sees('rm -rf build ⟨U+202E⟩#')
  await panel.sees('1 more after this one.')
  assert.equal(await panel.focused(), 'Deny')
  assert.deepEqual(await panel.axe(), [])
  await panel.shoot('approval')
  const seen = []
  for (let n = 0; n < 5; n++) {
    seen.push(await panel.focused())
    await panel.press('Tab')
  }
  assert.deepEqual(seen, ['Deny', 'Allow once', 'Stop the prompt', 'What will run', 'Deny'])
  await panel.press('Escape')
  await panel.sees('+new')
  await panel.shoot('approval-diff')
  await panel.click('Allow once')
  await panel.until(() => document.querySelector('.rllm-overlay').hidden)
  assert.deepEqual(await panel.calls('approve-tool'), [{ callId: 'c1', decision: 'deny' }, { callId: 'c2', decision: 'allow' }])
  assert.equal(await panel.evaluate(() => document.activeElement.id), 'thread-model')
})

tested('what somebody is typing when an approval opens decides nothing', async () => {
  const panel = await browser.panel({ open: undefined })
  await panel.evaluate(() => {
    const prompt = document.createElement('textarea')
    document.querySelector('.bar').append(prompt)
    prompt.focus()
    window.standIn.main.emit({ type: 'approval', approval: { callId: 'c', name: 'Bash', command: 'make' } })
  })
  // Enter comes with the very frame that shows it, before and after.
  await panel.evaluate(() => new Promise(resolve => {
    const look = () => {
      const focused = document.activeElement
      if (focused.textContent !== 'Deny') return requestAnimationFrame(look)
      const enter = new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true })
      window.dropped = !focused.dispatchEvent(enter)
      resolve()
    }
    look()
  }))
  assert.equal(await panel.evaluate(() => window.dropped), true)
  assert.deepEqual(await panel.calls('approve-tool'), [])
  await panel.click('Deny')
  await panel.until(() => document.querySelector('.rllm-overlay').hidden)
  assert.equal(await panel.evaluate(() => document.activeElement.tagName), 'TEXTAREA')
})

tested('a question of a connection that nobody tests is asked in an overlay', async () => {
  const panel = await browser.panel()
  await panel.evaluate(asked => window.standIn.main.emit({ type: 'question', question: asked }), { ...question, instruction: 'See http://evil.example <b>now</b>' })
  await panel.sees('See http://evil.example <b>now</b>')
  await panel.sees('Attempt 2.')
  assert.equal(await panel.evaluate(() => document.querySelectorAll('.rllm-overlay a, .rllm-overlay b').length), 0)
  assert.deepEqual(await panel.axe(), [])
  await panel.type('hunter2')
  await panel.press('Enter')
  await panel.until(() => window.standIn.main.calls.some(call => call.name === 'answer'))
  assert.deepEqual(await panel.calls('answer'), [{ questionId: 'q', answers: ['hunter2'] }])
})

tested('a locked vault is opened by its passphrase, or put aside after a second thought', async () => {
  const panel = await browser.panel({ vault: 'locked' })
  await panel.sees('The saved secrets are locked with a passphrase.')
  assert.deepEqual(await panel.axe(), [])
  await panel.fill('Passphrase of the vault', 'wrong')
  await panel.press('Enter')
  await panel.sees('That passphrase does not open the vault.')
  await panel.click('Begin an empty one')
  assert.equal(await panel.focused(), 'Keep them')
  await panel.click('Keep them')
  await panel.fill('Passphrase of the vault', 'open sesame')
  await panel.press('Enter')
  await panel.until(() => document.querySelector('.rllm-vault').hidden)
  assert.deepEqual(await panel.calls('vault-reset'), [])

  const other = await browser.panel({ vault: 'locked' })
  await other.click('Begin an empty one')
  await other.click('Put the saved secrets aside')
  await other.until(() => document.querySelector('.rllm-vault').hidden)
  assert.deepEqual(await other.calls('vault-reset'), [{ confirm: 'v1' }])
})

tested('markup in names and models stays text', async () => {
  const panel = await browser.panel()
  const nasty = '<img src=x onerror="window.pwned=1">'
  await panel.evaluate(name => {
    const config = structuredClone(window.standIn.configs[0])
    Object.assign(config, { name, warnings: [name] })
    window.standIn.configs[0] = config
    window.standIn.main.emit({ type: 'config-changed', configId: config.configId, change: 'saved' }, { type: 'stream-chunk', streamId: 's', configId: config.configId, event: { type: 'started', model: name, conversationId: 'c' } }, { type: 'stream-chunk', streamId: 's', configId: config.configId, event: { type: 'text-delta', text: name } })
  }, nasty)
  await panel.sees(nasty)
  await panel.open(nasty)
  await panel.until(wanted => document.querySelector('.rllm-tail')?.textContent === wanted, nasty)
  assert.deepEqual(await panel.evaluate(() => [document.querySelectorAll('#plugin-view-container img').length, window.pwned ?? null]), [0, null])
})

tested('a gap in the events is filled by the whole state, and a silent main half is told', async () => {
  const panel = await browser.panel()
  await panel.until(() => document.querySelectorAll('.rllm-server').length === 5)
  await panel.evaluate(() => {
    window.standIn.configs.splice(1, 1)
    window.standIn.main.emit(...Array.from({ length: 3000 }, () => ({ type: 'later-version' })))
  })
  await panel.until(() => document.querySelectorAll('.rllm-server').length === 4)
  await panel.evaluate(() => {
    window.puffin.plugins.invoke = async () => { throw new Error('No handler registered') }
    window.standIn.main.emit({ type: 'later-version' })
  })
  await panel.sees('The plugin’s main half did not answer.')
})
