import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cut, mend } from '../../netns/fixtures/network.mjs'

/** What is asked for within so many ms is done together, ms. */
const TOGETHER = 50

/** The path through the router: connections are cut off by their ports here, or all at once. */
export class Path {
  #router
  #wanted = []
  #done = Promise.resolve()
  #next
  /** Whether nothing passes. */
  isCut = false

  constructor(router) {
    this.#router = router
  }

  async prepare() {
    await this.#nft(`
      table ip outage {
        set ports { type inet_service; }
        chain through {
          type filter hook forward priority 0;
          tcp sport @ports drop
          tcp dport @ports drop
        }
      }`)
  }

  /** Resolves once nothing passes from and to these ports, with all of them cut off in the same instant. */
  cutOff(ports) {
    return this.#change('add', ports)
  }

  letThrough(ports) {
    return this.#change('delete', ports)
  }

  cut() {
    this.isCut = true
    cut(this.#router)
  }

  mend() {
    mend(this.#router)
    this.isCut = false
  }

  #change(verb, ports) {
    this.#wanted.push(`${verb} element ip outage ports { ${ports.join(', ')} }`)
    this.#next ??= new Promise((resolve) => setTimeout(resolve, TOGETHER)).then(() => {
      const commands = this.#wanted.splice(0).join('\n')
      this.#next = undefined
      this.#done = this.#done.then(() => this.#nft(commands))
      return this.#done
    })
    return this.#next
  }

  async #nft(commands) {
    const script = ['sh', '-c', 'PATH=$PATH:/usr/sbin:/sbin exec nft -f -']
    const child = spawn('nsenter', ['-n', '-t', String(this.#router), ...script], {
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    child.stdin.end(commands)
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`nft ended with ${code} at:\n${commands}`)
  }
}
