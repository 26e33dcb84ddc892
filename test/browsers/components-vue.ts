// Components of Vue in a page.
import { createApp, defineComponent, h, onMounted, onUnmounted, shallowRef, watchEffect } from 'vue'
import { useSocket } from '../../examples/vue/useSocket.ts'
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

const Listener = defineComponent({
  props: { name: { type: String, required: true }, url: { type: String, required: true } },
  setup({ name, url }) {
    // biome-ignore lint/correctness/useHookAtTopLevel: in Vue it belongs here
    const { status } = useSocket(url, handlersOf(name))
    onMounted(() => mounted(name))
    onUnmounted(() => unmounted(name))
    watchEffect(() => shows(name, status.value), { flush: 'sync' })
    return () => h('p', status.value)
  },
})

const shown = shallowRef<{ readonly names: readonly string[]; readonly url: string }>({ names: [], url: '' })
let isMounted = false

export const components: Components = {
  show(names, url = '/realtime') {
    shown.value = { names, url }
    if (isMounted) return
    isMounted = true
    // Another URL, another component: the composable keeps the URL that it began with.
    const render = () =>
      shown.value.names.map((name) =>
        h(Listener, { key: `${name} ${shown.value.url}`, name, url: shown.value.url }),
      )
    createApp({ render }).mount(place())
  },
  seen,
  statuses,
}
