import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { missing, needsBrowser, openBrowser } from './bed.mjs'

const options = { ...needsBrowser(), timeout: 120_000 }
let browser
before(async () => { browser = missing() ? null : await openBrowser() })
after(() => browser?.close())

const tested = (name, job) => test(name, options, job)
const messages = panel => panel.evaluate(() => [...document.querySelectorAll('.rllm-messages .rllm-said')].map(({ textContent }) => textContent))
const row = (panel, title) => panel.click(title, '.rllm-conversations')

tested('an answer that was cut off is continued: it is one message, and the buttons go', async () => {
  const panel = await browser.panel()
  await panel.click('History')
  await panel.sees('4 conversations.')
  assert.equal(await panel.focused(), 'History')
  await panel.sees('interrupted · GPU 1 · qwen3:30b · 2 messages')
  await row(panel, 'Count to three')
  await panel.sees('✂ cut off here')
  assert.equal(await panel.focused(), 'Count to three')
  assert.deepEqual(await messages(panel), ['Count to three', 'One, two'])
  await panel.sees('Continue goes on where it stops; Retry asks for the whole answer again.')
  await panel.click('Continue', '.rllm-go-on')
  await panel.sees('qwen3:30b: answering')
  assert.equal(await panel.evaluate(() => document.querySelector('.rllm-interrupted').hidden), true, 'nothing is offered while it runs')
  await panel.evaluate(() => window.standIn.main.finish())
  await panel.until(() => document.querySelectorAll('.rllm-messages .rllm-said')[1]?.textContent === 'One, two, three.')
  assert.deepEqual(await messages(panel), ['Count to three', 'One, two, three.'])
  assert.deepEqual(await panel.calls('continue-answer'), [{ conversationId: 'cut', configId: 'gpu1', model: 'qwen3:30b' }])
  assert.equal(await panel.evaluate(() => document.querySelector('.rllm-interrupted').hidden), true)
  await panel.click('Back to the list')
  await panel.until(() => document.activeElement.textContent.includes('Count to three'))
  assert.deepEqual(panel.complaints, [])
})

tested('it is asked for again by keyboard alone, and what was said stays', async () => {
  const panel = await browser.panel()
  await panel.evaluate(() => [...document.querySelectorAll('button')].find(({ textContent }) => textContent === 'History').focus())
  await panel.press('Enter')
  await panel.sees('4 conversations.')
  for (let n = 0; n < 10 && !(await panel.focused()).includes('Count to three'); n++) await panel.press('Tab')
  await panel.press('Enter')
  await panel.sees('✂ cut off here')
  for (let n = 0; n < 10 && (await panel.focused()) !== 'Retry'; n++) await panel.press('Tab')
  assert.match(await panel.evaluate(() => document.getElementById(document.activeElement.getAttribute('aria-describedby')).textContent), /The answer was cut off\. What was said is kept\./)
  await panel.press('Enter')
  await panel.until(() => document.activeElement.tagName === 'TEXTAREA')
  await panel.evaluate(() => window.standIn.main.finish())
  await panel.until(() => document.querySelectorAll('.rllm-messages > li').length === 4)
  assert.equal((await messages(panel))[1], 'One, two')
})

tested('a server that cannot go on with an answer is told, and only Retry is left', async () => {
  const panel = await browser.panel()
  await panel.click('History')
  await row(panel, 'Count to three')
  await panel.sees('✂ cut off here')
  await panel.evaluate(() => {
    const chunk = event => ({ type: 'stream-chunk', streamId: 's', configId: 'gpu1', conversationId: 'cut', event })
    window.standIn.main.emit(chunk({ type: 'status', phase: 'connecting' }), chunk({ type: 'failed', error: { message: 'LiteLLM can’t go on with an answer.', data: { code: 'API_CONTINUE_UNSUPPORTED', hint: 'Ask again.' } } }))
  })
  await panel.sees('LiteLLM can’t go on with an answer. Ask again.')
  assert.deepEqual(await panel.evaluate(() => [...document.querySelectorAll('.rllm-interrupted button')].filter(({ hidden }) => !hidden).map(({ textContent }) => textContent)), ['Retry'])
})

tested('what a daemon that died had not kept is shown, and goes on over another server', async () => {
  const panel = await browser.panel()
  await panel.click('History')
  await row(panel, 'Tell me about auks')
  await panel.sees('gone-server (deleted)')
  await panel.sees('The Remote LLM daemon was killed by SIGKILL. What was said is kept.')
  assert.deepEqual(await messages(panel), ['Tell me about auks', 'An auk is'])
  await panel.evaluate(() => {
    const select = [...document.querySelectorAll('.rllm-say select')][0]
    select.value = 'gpu2'
    select.dispatchEvent(new Event('change'))
  })
  await panel.click('Continue', '.rllm-go-on')
  await panel.sees('answering')
  assert.deepEqual(await panel.calls('continue-answer'), [{ conversationId: 'gone', configId: 'gpu2' }])
})

tested('a long conversation is read in pages, and tools and context are folded', async () => {
  const panel = await browser.panel({ conversations: 40 }, [1200, 700])
  await panel.click('History')
  await panel.sees('The newest 30 of 44.')
  await panel.click('Show more')
  await panel.sees('44 conversations.')
  await row(panel, 'Question 1')
  await panel.sees('40 earlier messages are not shown.')
  assert.equal(await panel.evaluate(() => document.querySelectorAll('.rllm-messages > li').length), 20)
  await panel.click('Show earlier messages')
  await panel.until(() => document.querySelectorAll('.rllm-messages > li').length === 40)
  assert.equal((await messages(panel))[0], 'Question 11')
  await panel.click('Back to the list')
  await row(panel, 'Which fish')
  await panel.sees('Herring and sand eel.')
  assert.deepEqual(await messages(panel), ['Which fish do we sell?', 'Herring and sand eel.'])
  await panel.click('Calls Read')
  await panel.sees('fish.md')
  assert.deepEqual(panel.complaints, [])
})

tested('it goes on with new words; one is found by its words, and deleted after a second thought', async () => {
  const panel = await browser.panel()
  await panel.click('History')
  await panel.fill('Find a conversation', 'fish')
  await panel.sees('1 conversation.')
  await row(panel, 'Which fish')
  await panel.fill('What to say next', 'And shrimps?')
  await panel.press('Enter', { ctrl: true })
  await panel.until(() => window.standIn.main.calls.some(({ name }) => name === 'ask-in-conversation'))
  await panel.evaluate(() => window.standIn.main.finish())
  await panel.until(() => document.querySelectorAll('.rllm-messages > li').length === 6)
  assert.equal(await panel.evaluate(() => document.querySelector('.rllm-say textarea').value), '')
  await panel.click('Delete')
  assert.equal(await panel.focused(), 'Keep it')
  await panel.click('Delete it for good')
  await panel.sees('“Which fish do we sell?” is deleted.')
  await panel.sees('No conversation has these words.')
  assert.deepEqual(await panel.calls('delete-conversation'), [{ conversationId: 'fish' }])
})

tested('markup and hidden characters of a conversation stay text', async () => {
  const panel = await browser.panel()
  const nasty = '<img src=x onerror="window.pwned=1">\u202E'
  await panel.evaluate(words => {
    const [, fish] = window.standIn.conversations
    fish.title = words
    for (const { content } of fish.messages) for (const block of content) for (const name of ['text', 'thinking', 'name']) if (name in block) block[name] = words
    fish.messages[2].content[0].content = words
  }, nasty)
  await panel.click('History')
  await panel.sees('<img src=x onerror="window.pwned=1">⟨U+202E⟩')
  await panel.click('<img', '.rllm-conversations')
  await panel.until(() => document.querySelectorAll('.rllm-messages > li').length === 4)
  await panel.evaluate(() => document.querySelectorAll('.rllm-messages summary').forEach(summary => summary.click()))
  await panel.until(() => document.querySelectorAll('.rllm-messages pre')[3].textContent !== '')
  assert.deepEqual(await panel.evaluate(() => [document.querySelectorAll('#plugin-view-container img').length, window.pwned ?? null, document.querySelector('.rllm-panel').textContent.includes('\u202E')]), [0, null, false])
})

tested('without a conversation it says how one begins; what fails is told, and tried again', async () => {
  const panel = await browser.panel({ silent: 1 })
  await panel.click('History')
  await panel.sees('No conversation yet. Choose a remote model in Puffin’s prompt box')
  assert.deepEqual(await panel.axe(), [])

  const broken = await browser.panel()
  await broken.evaluate(() => {
    const { invoke } = window.puffin.plugins
    const refused = { ok: false, error: { code: 'STORE_IO', message: 'The history can\u2019t be read.', hint: 'Is the disk full?', data: {} } }
    window.puffin.plugins.invoke = async (plugin, channel, params) => (!window.healed && channel.endsWith('list-conversations') ? refused : invoke(plugin, channel, params))
  })
  await broken.click('History')
  await broken.sees('The history can\u2019t be read. Is the disk full?')
  assert.deepEqual(await broken.axe(), [])
  await broken.evaluate(() => { window.healed = true })
  await broken.click('Try again', '.rllm-history')
  await broken.sees('4 conversations.')
})
