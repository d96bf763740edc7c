/** How often it is checked, in ms. */
const TICK = 50

/**
 * Notes when this process had to wait for a processor, and for how long. What it did itself in that time does not count: the event loop's
 * delay is measured for that.
 *
 * @param {import('./journal.mjs').Journal} journal
 * @param {string} id of the process
 */
export function noteStarvation(journal, id) {
  let last = performance.now()
  let spent = process.cpuUsage()
  const noted = { starved: 0, timer: undefined }
  noted.timer = setInterval(() => {
    const now = performance.now()
    const { user, system } = process.cpuUsage(spent)
    const waited = now - last - TICK - (user + system) / 1_000
    if (waited > TICK) {
      noted.starved += waited
      journal.note(id, 'starved', waited.toFixed(0))
    }
    last = now
    spent = process.cpuUsage()
  }, TICK)
  return noted
}
