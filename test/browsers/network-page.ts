// What a page runs to take part in a conversation: its end of it, over everwire.
import { WebSocket } from '../../client/browser.ts'
import { follow, lastWords } from '../networks/follow.ts'
import { Talk, type TalkOptions } from '../networks/talk.ts'

export interface PageEnd {
  readonly talk: Talk
  close(): void
}

export function begin(url: string, options: TalkOptions): PageEnd {
  const talk = new Talk('client', options)
  const socket = new WebSocket(url)
  follow(socket, talk)
  return { talk, close: () => socket.close(lastWords.code, lastWords.reason) }
}
