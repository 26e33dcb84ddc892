// Components of React in a page, under StrictMode: in development it mounts each twice.
import { createElement, type ReactElement, StrictMode, useEffect } from 'react'
import { createRoot } from 'react-dom/client'
import { useSocket } from '../../examples/react/useSocket.ts'
import {
  type Components,
  handlersOf,
  mounted,
  place,
  seen,
  shows,
  statuses,
  unmounted,
} from './components.ts'

function Listener({ name, url }: { readonly name: string; readonly url: string }): ReactElement {
  const { status } = useSocket(url, handlersOf(name))
  useEffect(() => {
    mounted(name)
    return () => unmounted(name)
  }, [name])
  useEffect(() => shows(name, status), [name, status])
  return createElement('p', null, status)
}

let root: ReturnType<typeof createRoot> | undefined

export const components: Components = {
  show(names, url = '/realtime') {
    root ??= createRoot(place())
    const elements = names.map((name) => createElement(Listener, { key: name, name, url }))
    root.render(createElement(StrictMode, null, ...elements))
  },
  seen,
  statuses,
}
