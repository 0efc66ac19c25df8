import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { missing, needsBrowser, openBrowser } from './bed.mjs'

const options = { ...needsBrowser(), timeout: 180_000 }
let browser
before(async () => { browser = missing() ? null : await openBrowser() })
after(() => browser?.close())

const places = [['dark', [1200, 1600]], ['light', [1200, 1600]], ['puffin', [1200, 1600]], ['high-contrast', [1200, 1600]], ['dark', [420, 1900]], ['light', [420, 1900]]]

for (const [theme, size] of places) {
  test(`every part of the panel is in order in ${theme} at ${size[0]} px`, options, async () => {
    const panel = await browser.panel({ theme }, size)
    const name = part => `${part}-${theme}-${size[0]}`
    const findings = {}
    const look = async part => {
      await panel.shoot(name(part))
      const found = await panel.axe()
      if (found.length > 0) findings[part] = found
      const overflow = await panel.evaluate(() => document.documentElement.scrollWidth - window.innerWidth + document.querySelector('#plugin-view-container').scrollWidth - document.querySelector('#plugin-view-container').clientWidth)
      if (overflow > 0) findings[`${part}, too wide`] = overflow
    }

    await panel.open('GPU 1')
    await panel.until(() => document.querySelectorAll('.rllm-models tbody tr').length >= 4)
    const prompt = { inputTokens: 1200, outputTokens: 340 }
    await panel.evaluate(usage => {
      const chunk = (streamId, event) => ({ type: 'stream-chunk', streamId, configId: 'gpu1', event })
      window.standIn.main.emit(
        chunk('a', { type: 'started', model: 'qwen3:30b', conversationId: 'c' }),
        chunk('a', { type: 'finished', result: { model: 'qwen3:30b', stopReason: 'end_turn', usage, timing: { firstTokenMs: 420, totalMs: 9000, tokensPerSecond: 38.2 }, rounds: 1, toolCalls: 0 } }),
        chunk('b', { type: 'started', model: 'qwen3:30b', conversationId: 'd' }),
        chunk('b', { type: 'text-delta', text: 'The answer is on its way.\n' })
      )
    }, prompt)
    await panel.sees('38.2 tokens/s')
    await panel.sees('answering, 26 characters')
    await look('server')

    await panel.click('More')
    await panel.click('Add a jump host')
    await panel.until(() => document.querySelectorAll('.rllm-hop').length === 2)
    await panel.sees('Host is missing.')
    await panel.click('agent (1 key)')
    await panel.click('Add a model')
    await panel.sees('Model is missing.')
    await look('form')

    await panel.open('GPU 4')
    await panel.sees('Add one of these keys')
    await panel.click('Delete')
    await look('failed')
    await panel.click('Test')
    await panel.until(() => document.querySelector('.rllm-stage .rllm-question'))
    await look('host-key')
    await panel.click('Accept once')
    await panel.until(() => document.querySelector('.rllm-stage input[type=password]'))
    await look('code')
    await panel.fill('Passcode', '123456')
    await panel.press('Enter')
    await panel.sees('Ready: Ollama')
    await panel.click('Report')
    await look('tested')

    await panel.open('From the project')
    await panel.sees('Trust this server')
    await look('trust')

    await panel.click('History')
    await panel.sees('4 conversations.')
    await look('history')
    await panel.click('Count to three', '.rllm-conversations')
    await panel.sees('cut off here')
    await look('interrupted')
    await panel.click('Back to the list')
    await panel.click('Which fish', '.rllm-conversations')
    await panel.sees('Herring and sand eel.')
    await panel.click('Calls Read')
    await panel.click('Delete')
    await look('conversation')
    assert.deepEqual(findings, {})
    assert.deepEqual(panel.complaints, [])
  })
}
