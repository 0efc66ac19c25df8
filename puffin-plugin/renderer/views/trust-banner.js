/** A profile that came with the project: what it would do, before a person says yes. */

import { factsOf } from '../state/trust.js'
import { visible } from '../state/format.js'
import { button, h, setHidden } from './dom.js'

export function createTrustBanner(actions) {
  const title = h('h3', { class: 'rllm-banner-title' }, 'This server came with the project')
  const body = h('div')
  const element = h('section', { class: 'rllm-banner', 'aria-label': 'Trust', hidden: true }, title, body)
  let drawn = null

  return {
    element,
    update(state, config) {
      const untrusted = config?.trust?.state === 'untrusted'
      setHidden(element, !untrusted)
      if (!untrusted || drawn === config) return
      drawn = config
      const { digest } = config.trust
      body.replaceChildren(
        h('p', {}, 'Nothing is connected to and no saved secret is used until you trust it on this computer. It would:'),
        h('ul', { class: 'rllm-facts' }, factsOf(config).map(([fact, value]) => h('li', {}, `${visible(fact)} `, h('code', {}, visible(value))))),
        h('p', { class: 'rllm-hint' }, 'Digest of all that it says: ', h('code', { class: 'rllm-digest' }, digest ?? 'none')),
        h('div', { class: 'rllm-actions' },
          button('Trust this server', () => actions.trust(config.configId, digest), { kind: 'primary', disabled: !digest }))
      )
    }
  }
}
