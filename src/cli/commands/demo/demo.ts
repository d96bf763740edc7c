import { capabilities, DeadpeerError } from '../../../index.js'
import { listenForInterrupts } from '../../lib/interrupt.js'
import { canRedraw, complain, firstLine } from '../../lib/terminal.js'
import type { Renderer } from './events.js'
import { JsonRenderer } from './json.js'
import { LiveRenderer } from './live.js'
import { observe } from './observe.js'
import { PlainRenderer } from './plain.js'
import { openScene, type Scene } from './scene.js'
import { rerunInNamespace } from './unprivileged.js'

export interface DemoOptions {
  json: boolean
}

/** Shows which of seven connections detect that their peers have vanished, and when. Returns the exit code. */
export async function demo(options: DemoOptions): Promise<number> {
  const { native, reason } = capabilities()
  if (!native) {
    complain(`the demo needs Linux with the native core: ${firstLine(reason!)}`)
    return 1
  }
  const interruption = listenForInterrupts()
  try {
    const scene = await openScene(interruption.signal)
    return await play(scene, options, interruption.signal)
  } catch (error) {
    if (interruption.signal.aborted) return interruption.exitCode
    if (!isForbidden(error)) throw error
    interruption.forget()
    return await rerunInNamespace()
  } finally {
    interruption.forget()
  }
}

async function play(scene: Scene, options: DemoOptions, signal: AbortSignal): Promise<number> {
  const renderer = rendererFor(options)
  try {
    const { ok } = await observe(scene, (event) => renderer.show(event), signal)
    return ok ? 0 : 1
  } finally {
    renderer.end()
    await scene.close()
  }
}

function rendererFor({ json }: DemoOptions): Renderer {
  if (json) return new JsonRenderer()
  return canRedraw(LiveRenderer.height) ? new LiveRenderer() : new PlainRenderer()
}

function isForbidden(error: unknown): boolean {
  return error instanceof DeadpeerError && (error.code === 'EPERM' || error.code === 'EACCES')
}
