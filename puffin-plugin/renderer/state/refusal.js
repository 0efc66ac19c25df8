/** Which field of the form the daemon means. */

/**
 * @param {object} draft
 * @param {string} [field] as the daemon names it: `ssh.jumpHosts[0].port`, `llm.models[1].id`, `llm.tls.caPath`
 * @returns {string|null} as the form does: `hop0.port`, `model1.id`, `llm.tls.caPath`
 */
export function placeOfField(draft, field) {
  const row = /^(?:ssh\.jumpHosts|llm\.models)\[(\d+)\]\.(.+)$/.exec(field ?? '')
  if (!row) return /^(ssh|llm)\.[^[]+$/.test(field ?? '') ? field : null
  const rows = field.startsWith('ssh') ? draft.hops : draft.models
  const { id } = rows[Number(row[1])] ?? {}
  return id === undefined ? null : `${id}.${row[2]}`
}
