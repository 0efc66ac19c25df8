import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { missing, needsBrowser, openBrowser } from './bed.mjs'

const options = { ...needsBrowser(), timeout: 120_000 }
let browser
before(async () => { browser = missing() ? null : await openBrowser() })
after(() => browser?.close())

const tested = (name, job) => test(name, options, job)
const question = { questionId: 'q', origin: 'connect', configId: 'gpu3', kind: 'password', host: 'gpu3', hop: 1, hops: 1, prompts: [{ text: 'Password: ', echo: false }], attempt: 1, canRemember: true }
const ask = (panel, asked) => panel.evaluate(shown => window.standIn.main.emit({ type: 'question', question: shown }), asked)
const opened = async (panel, name) => {
  await panel.open(name)
  await panel.until(wanted => document.activeElement.textContent === wanted, name)
}
/** Where the question stands, and how often. */
const places = panel => panel.evaluate(() => [...document.querySelectorAll('.rllm-question')].map(element => element.closest('.rllm-overlay, .rllm-head, .rllm-servers, .rllm-stage').className.split(' ')[0]))

tested('what a connect asks stands under the status of the server on show, and is answered there once', async () => {
  const panel = await browser.panel()
  await opened(panel, 'GPU 3')
  await panel.sees('Connecting: authenticating to bastion')
  await ask(panel, question)
  await panel.until(() => document.querySelector('.rllm-head .rllm-question'))
  assert.deepEqual(await places(panel), ['rllm-head'])
  assert.equal(await panel.evaluate(() => document.querySelector('.rllm-overlay').hidden), true)
  await panel.until(() => document.querySelector('.rllm-status').textContent.includes('Needs you: authenticating to bastion'))
  await panel.sees('GPU 3 needs you.')
  assert.equal(await panel.evaluate(() => document.activeElement.type), 'password')
  assert.deepEqual(await panel.axe(), [])
  await panel.shoot('question-of-a-connect')
  await panel.type('hunter2')
  // Twice within one frame, as an impatient hand does it.
  await panel.evaluate(() => {
    const send = document.querySelector('.rllm-question button[type=submit]')
    send.click()
    send.click()
  })
  await panel.until(() => !document.querySelector('.rllm-question'))
  assert.deepEqual(await panel.calls('answer'), [{ questionId: 'q', answers: ['hunter2'] }])
  assert.deepEqual(panel.complaints, [])
})

tested('of a server that is not on show it stands in the list, and what was typed goes with it', async () => {
  const panel = await browser.panel()
  await opened(panel, 'GPU 1')
  await ask(panel, question)
  await panel.until(() => document.querySelector('.rllm-servers .rllm-question'))
  await panel.shoot('question-in-the-list')
  await panel.fill('Password:', 'hun')
  await panel.open('GPU 3')
  await panel.until(() => document.querySelector('.rllm-head .rllm-question'))
  assert.deepEqual(await places(panel), ['rllm-head'])
  assert.equal(await panel.evaluate(() => document.querySelector('.rllm-question input').value), 'hun')
  await panel.click('History')
  await panel.until(() => document.querySelector('.rllm-servers .rllm-question'))
  await panel.evaluate(() => window.standIn.close())
  await panel.until(() => document.querySelector('.rllm-overlay .rllm-question'))
  assert.deepEqual(await places(panel), ['rllm-overlay'], 'a panel that is not open shows nothing')
  await panel.evaluate(() => window.standIn.open())
  await panel.until(() => document.querySelector('.rllm-servers .rllm-question'))
  assert.deepEqual([await places(panel), await panel.evaluate(() => document.querySelector('.rllm-overlay').hidden)], [['rllm-servers'], true])
  assert.equal(await panel.evaluate(() => document.querySelector('.rllm-question input').value), 'hun')
})

tested('several questions of a way are asked one after the other, and a host key can be refused by keyboard', async () => {
  const panel = await browser.panel({ theme: 'light' }, [420, 1600])
  const key = { ...question, questionId: 'k', kind: 'host-key', port: 22, keyType: 'ED25519', fingerprint: 'SHA256:uNiVztksCsDhcc0u9e8BrNQkLxrwTy9IQfQs2KqMNkk', reason: 'unknown' }
  await opened(panel, 'GPU 1')
  await ask(panel, key)
  await ask(panel, question)
  await panel.sees('First contact with gpu3:22.')
  assert.deepEqual(await places(panel), ['rllm-servers'])
  assert.deepEqual(await panel.axe(), [])
  assert.ok(await panel.evaluate(() => document.querySelector('#plugin-view-container').scrollWidth <= document.querySelector('#plugin-view-container').clientWidth))
  await panel.shoot('question-in-the-list-420')
  assert.equal(await panel.focused(), 'Reject')
  await panel.press('Enter')
  await panel.until(() => document.querySelector('.rllm-question input[type=password]'))
  assert.deepEqual((await panel.calls('answer')).map(({ questionId, decision }) => [questionId, decision]), [['k', 'reject']])
})

tested('who types into the form goes on typing there', async () => {
  const panel = await browser.panel()
  await opened(panel, 'GPU 3')
  await panel.fill('Host', 'gpu3.lab')
  await ask(panel, question)
  await panel.until(() => document.querySelector('.rllm-head .rllm-question'))
  await panel.type('.example')
  assert.equal(await panel.evaluate(() => document.activeElement.value), 'gpu3.lab.example')
})

tested('a connection that waits for a person goes on when they say so, from where they read why', async () => {
  const panel = await browser.panel()
  await opened(panel, 'GPU 3')
  await panel.evaluate(() => window.standIn.main.emit({ type: 'connection-status', status: { configId: 'gpu3', state: 'needs-user', since: new Date(0).toISOString(), error: { message: 'bastion asks for a code.', data: { code: 'SSH_PROMPT_TIMEOUT', hint: 'Connect again.' } } } }))
  await panel.sees('bastion asks for a code. Connect again.')
  assert.deepEqual(await panel.calls('connect'), [])
  await panel.click('Connect and answer')
  await panel.sees('Ready, 38 ms')
  assert.deepEqual(await panel.calls('connect'), [{ configId: 'gpu3' }])
})
