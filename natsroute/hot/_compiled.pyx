# cython: language_level=3, binding=False, always_allow_keywords=False
# cython: boundscheck=False, wraparound=False, initializedcheck=False, nonecheck=True, cdivision=True
"""
The hot path, compiled. natsroute.hot.pure is the reference: it has the same names, and its docstrings are not repeated.

What is not plain is not treated here: the reader stops where it is, and the other parts call what the classes that build
on them have for it. So there are no error texts and no policy here.
"""

from cpython.object cimport PyObject, PyTypeObject
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_CheckExact, PyDict_Next
from cpython.list cimport PyList_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from *:
    """
    #ifndef NATSROUTE_SOURCE_CHECKSUM
    #error "setup.py compiles this: natsroute.hot.choice asks for the checksum of the source that it defines"
    #endif
    #include <structmember.h>
    #include <pythread.h>

    /* A new object whose slots are all empty. */
    static inline PyObject *hot_alloc(PyTypeObject *type) { return type->tp_alloc(type, 0); }

    static inline void hot_set_slot(PyObject *object, Py_ssize_t offset, PyObject *value) {
        PyObject **slot = (PyObject **)((char *)object + offset);
        PyObject *before = *slot;
        Py_INCREF(value);
        *slot = value;
        Py_XDECREF(before);
    }

    /* Where objects of a type have the attribute with a slot that this descriptor describes; -1: it is no such one. */
    static Py_ssize_t hot_slot_offset(PyObject *descriptor) {
        if (!PyObject_TypeCheck(descriptor, &PyMemberDescr_Type)) return -1;
        PyMemberDef *member = ((PyMemberDescrObject *)descriptor)->d_member;
        return member->type == T_OBJECT_EX ? member->offset : -1;
    }

    #define HOT_MAX_SLOTS 24

    /* All slots of the objects of a class, if they have nothing else and it needs no finalizer: how many; else 0. */
    static int hot_all_slots(PyTypeObject *type, Py_ssize_t *slots) {
        int count = 0;
        if (type->tp_dictoffset || type->tp_weaklistoffset || type->tp_itemsize || type->tp_del || !PyType_IS_GC(type)
            || type->tp_alloc != PyType_GenericAlloc) return 0;
        for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(type->tp_mro); at++) {
            PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(type->tp_mro, at);
            PyObject *key, *value;
            Py_ssize_t position = 0;
            if (base == &PyBaseObject_Type || base->tp_dict == NULL) continue;
            while (PyDict_Next(base->tp_dict, &position, &key, &value)) {
                if (!Py_IS_TYPE(value, &PyMemberDescr_Type)) continue;
                PyMemberDef *member = ((PyMemberDescrObject *)value)->d_member;
                int number = 0;
                while (number < count && slots[number] != member->offset) number++;
                if (number < count) continue;
                if (member->type != T_OBJECT_EX || count == HOT_MAX_SLOTS) return 0;
                slots[count++] = member->offset;
            }
        }
        return type->tp_basicsize == (Py_ssize_t)(sizeof(PyObject) + count * sizeof(PyObject *)) ? count : 0;
    }

    /* Empty an object that nobody else has, so that it can be used again. Whether that was possible. */
    static inline int hot_empty(PyObject *object, PyTypeObject *type, const Py_ssize_t *slots, int count) {
        if (!count || Py_REFCNT(object) != 1 || !Py_IS_TYPE(object, type) || type->tp_finalize != NULL) return 0;
        for (int number = 0; number < count; number++) {
            PyObject **slot = (PyObject **)((char *)object + slots[number]), *before = *slot;
            if (before != NULL) { *slot = NULL; Py_DECREF(before); }
        }
        return Py_REFCNT(object) == 1;
    }

    /* Write a slot that is empty. */
    static inline void hot_fill_slot(PyObject *object, Py_ssize_t offset, PyObject *value) {
        *(PyObject **)((char *)object + offset) = Py_NewRef(value);
    }

    #ifdef Py_GIL_DISABLED
    #define HOT_DICT -1
    #else
    #define HOT_DICT -3
    #endif
    #if PY_VERSION_HEX >= 0x030C0000
    #if PY_VERSION_HEX < 0x030D0000
    #define PyObject_VisitManagedDict _PyObject_VisitManagedDict
    #endif
    static int hot_found(PyObject *value, void *argument) { return 1; }
    #endif

    /* Whether an object is as it was made: no attribute was set, and no weak reference is there. */
    static inline int hot_is_untouched(PyObject *object) {
        PyTypeObject *type = Py_TYPE(object);
        if (type->tp_weaklistoffset && *(PyObject **)((char *)object + type->tp_weaklistoffset) != NULL) return 0;
    #if PY_VERSION_HEX >= 0x030D0000
        /* A dictionary that somebody took from the object has the same values, and is not visited with them. */
        if ((type->tp_flags & Py_TPFLAGS_MANAGED_DICT) && ((PyObject **)object)[HOT_DICT] != NULL) return 0;
    #endif
    #if PY_VERSION_HEX >= 0x030C0000
        return (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) && !PyObject_VisitManagedDict(object, hot_found, NULL);
    #elif PY_VERSION_HEX >= 0x030B0000
        return (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) && ((PyObject **)object)[-4] == NULL
               && ((PyObject **)object)[-3] == NULL;
    #else
        return type->tp_dictoffset > 0 && *(PyObject **)((char *)object + type->tp_dictoffset) == NULL;
    #endif
    }

    /* A new object, or the last one of a list if nobody else has it and it is as a new one: None takes its place. */
    static inline PyObject *hot_alloc_or_take_last(PyTypeObject *type, PyObject *list) {
        Py_ssize_t last = PyList_CheckExact(list) ? PyList_GET_SIZE(list) - 1 : -1;
        if (last >= 0) {
            PyObject *before = PyList_GET_ITEM(list, last);
            if (Py_REFCNT(before) == 1 && Py_IS_TYPE(before, type) && hot_is_untouched(before)) {
                PyList_SET_ITEM(list, last, Py_NewRef(Py_None));
                return before;
            }
        }
        return type->tp_alloc(type, 0);
    }

    /* Whether an object of the type is made without running any code. */
    static int hot_has_plain_init(PyTypeObject *type) {
        return type->tp_init == PyBaseObject_Type.tp_init && type->tp_new == PyBaseObject_Type.tp_new
            && !(type->tp_flags & Py_TPFLAGS_IS_ABSTRACT);
    }

    static int hot_has_plain_new(PyTypeObject *type) {
        return type->tp_new == PyBaseObject_Type.tp_new && !(type->tp_flags & Py_TPFLAGS_IS_ABSTRACT);
    }

    /* The function behind a method that is defined in C, and behind a method of it that is bound to an object. */
    static PyCFunction hot_function_of(PyObject *descriptor) {
        return ((PyMethodDescrObject *)descriptor)->d_method->ml_meth;
    }
    static inline PyObject *hot_self_of(PyObject *method, PyCFunction function) {
        return PyCFunction_CheckExact(method) && PyCFunction_GET_FUNCTION(method) == function
            ? PyCFunction_GET_SELF(method) : NULL;
    }

    /* Append bytes that nobody else has to a list, without what is behind their new end. If that fails, they are as
       before. Else the list has them. */
    static int hot_append_shortened(PyObject *list, PyObject *text, Py_ssize_t size) {
        Py_ssize_t spare = PyBytes_GET_SIZE(text) - size;
        if (PyList_Append(list, text)) return -1;
        Py_DECREF(text);
    #ifndef Py_TRACE_REFS
        if (spare > size / 4) {
            PyObject *shorter = (PyObject *)PyObject_Realloc(text, offsetof(PyBytesObject, ob_sval) + size + 1);
            if (shorter != NULL) {
                text = shorter;
                PyList_SET_ITEM(list, PyList_GET_SIZE(list) - 1, text);
            }
        }
    #endif
        Py_SET_SIZE((PyVarObject *)text, size);
        PyBytes_AS_STRING(text)[size] = 0;
        return 0;
    }

    /* An exception is set: this makes Cython handle it. */
    static inline int hot_has_raised(void) { return -1; }

    /* A method that takes its arguments as they stand, and makes no dictionary for the options that there might be. */
    static PyObject *hot_new_method(PyTypeObject *type, PyMethodDef *definition, void *method, const char *doc) {
        definition->ml_name = "publish";
        definition->ml_meth = (PyCFunction)method;
        definition->ml_flags = METH_FASTCALL | METH_KEYWORDS;
        definition->ml_doc = doc;
        return PyDescr_NewMethod(type, definition);
    }
    static int hot_replace(PyTypeObject *type, const char *name, PyObject *attribute) {
        int failed = PyDict_SetItemString(type->tp_dict, name, attribute);
        PyType_Modified(type);
        return failed;
    }
    """
    unsigned long NATSROUTE_SOURCE_CHECKSUM
    ctypedef struct PyMethodDef:
        pass
    object hot_new_method(PyTypeObject *type, PyMethodDef *definition, void *method, const char *doc)
    int hot_replace(PyTypeObject *type, const char *name, PyObject *attribute) except -1
    PyObject *PyObject_Vectorcall(PyObject *function, PyObject **args, size_t count, PyObject *names) except NULL
    object PyObject_GenericGetAttr(PyObject *object, PyObject *name)
    enum: HOT_MAX_SLOTS
    int hot_all_slots(PyTypeObject *type, Py_ssize_t *slots)
    bint hot_empty(PyObject *object, PyTypeObject *type, const Py_ssize_t *slots, int count)
    void hot_fill_slot(PyObject *object, Py_ssize_t offset, PyObject *value)
    object hot_alloc_or_take_last(PyTypeObject *type, object list)
    object hot_alloc(PyTypeObject *type)
    void hot_set_slot(PyObject *object, Py_ssize_t offset, PyObject *value)
    Py_ssize_t hot_slot_offset(PyObject *descriptor)
    bint hot_has_plain_init(PyTypeObject *type)
    bint hot_has_plain_new(PyTypeObject *type)
    ctypedef PyObject *(*PyCFunction)(PyObject *, PyObject *)
    PyCFunction hot_function_of(PyObject *descriptor)
    PyObject *hot_self_of(PyObject *method, PyCFunction function)
    int hot_has_raised() except -1
    unsigned long PyThread_get_thread_ident() nogil
    PyObject *PyDict_GetItemWithError(object mapping, object key) except? NULL
    PyObject *call_one "PyObject_CallOneArg"(PyObject *function, PyObject *argument)
    bint PyUnicode_CheckExact(object text)
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    const unsigned char *PyUnicode_1BYTE_DATA(object text)
    object PyUnicode_DecodeUTF8(const char *text, Py_ssize_t size, const char *errors)
    Py_ssize_t Py_REFCNT(PyObject *object)
    PyObject *PyList_GET_ITEM(object items, Py_ssize_t index)
    int PyList_SetItem(object items, Py_ssize_t index, PyObject *item) except -1
    int PyList_Append(object items, object item) except -1
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *text, Py_ssize_t size)
    int hot_append_shortened(PyObject *items, PyObject *text, Py_ssize_t size)
    void PyErr_Clear()

SOURCE_CHECKSUM = NATSROUTE_SOURCE_CHECKSUM


# -- reading -----------------------------------------------------------------------------------------------------------

cdef enum:
    REMEMBERED = 4096  # addresses; a power of two
    MAX_DIGITS = 18  # of a number that fits in 64 bits
    MAX_REMEMBERED = 256  # bytes of subject and sid, or of a plain reply subject

cdef struct Word:
    const unsigned char *start
    Py_ssize_t size

cdef struct Line:
    Word subject, sid, reply_to  # a message without a reply subject has one of size 0
    Py_ssize_t header_size, size
    const unsigned char *payload


cdef inline Py_ssize_t number(Word word) noexcept nogil:
    """The number that a word is; -1 if it is none, or has very many digits."""
    cdef Py_ssize_t value = 0, index
    cdef unsigned char digit
    if word.size > MAX_DIGITS:
        return -1
    for index in range(word.size):
        digit = word.start[index] - 48
        if digit > 9:
            return -1
        value = value * 10 + digit
    return value


cdef inline uint64_t hash_of(const unsigned char *text, Py_ssize_t size) noexcept nogil:
    cdef uint64_t value = <uint64_t>size, part
    while size >= 8:
        memcpy(&part, text, 8)
        value = (value ^ part) * <uint64_t>0x9E3779B97F4A7C15
        value ^= value >> 32
        text += 8
        size -= 8
    if size:
        part = 0
        memcpy(&part, text, size)
        value = (value ^ part) * <uint64_t>0x9E3779B97F4A7C15
        value ^= value >> 32
    value *= <uint64_t>0x9E3779B97F4A7C15
    return value >> 32


cdef class Known:
    """An address, by the bytes of its subject and sid."""

    cdef bytes text
    cdef object address, subject, sid


cdef inline bint is_known(PyObject *known, const unsigned char *text, Py_ssize_t size) noexcept:
    """Whether there is an address, and it is that for these bytes."""
    return (
        known != NULL
        and PyBytes_GET_SIZE((<Known>known).text) == size
        and memcmp(PyBytes_AS_STRING((<Known>known).text), text, size) == 0
    )


cdef class Reader:
    cdef public Py_ssize_t position, wanted
    cdef object message_type, address_type, receivers
    cdef Py_ssize_t max_line, max_payload
    cdef bint is_direct, has_receivers
    cdef Py_ssize_t at_address, at_data, at_header_block, at_reply_to, at_context
    cdef PyObject *known[REMEMBERED]  # of Known
    cdef Py_ssize_t slots[HOT_MAX_SLOTS]  # all of a message, if it has nothing else
    cdef int slot_count
    cdef bint makes_addresses
    cdef Py_ssize_t at_subject, at_sid

    def __init__(self, message_type, address_type, receivers, Py_ssize_t max_line, Py_ssize_t max_payload):
        self.message_type = message_type
        self.address_type = address_type
        self.receivers = receivers
        self.max_line = max_line
        self.max_payload = max_payload
        self.has_receivers = PyDict_CheckExact(receivers)
        descriptors = [getattr(message_type, name, None) for name in ("address", "data", "header_block", "reply_to")]
        self.at_address, self.at_data, self.at_header_block, self.at_reply_to = [
            hot_slot_offset(<PyObject *>descriptor) for descriptor in descriptors
        ]
        self.is_direct = (
            isinstance(message_type, type)
            and hot_has_plain_new(<PyTypeObject *>message_type)
            and min(self.at_address, self.at_data, self.at_header_block, self.at_reply_to) > 0
            and message_type.__init__ is descriptors[0].__objclass__.__init__
        )
        self.slot_count = hot_all_slots(<PyTypeObject *>message_type, self.slots) if self.is_direct else 0
        descriptors = [getattr(address_type, name, None) for name in ("subject", "sid")]
        self.at_subject, self.at_sid = [hot_slot_offset(<PyObject *>descriptor) for descriptor in descriptors]
        self.makes_addresses = (
            isinstance(address_type, type)
            and hot_has_plain_new(<PyTypeObject *>address_type)
            and min(self.at_subject, self.at_sid) > 0
            and address_type.__init__ is descriptors[0].__objclass__.__init__
        )
        # A context may be missing: then it is set as any other attribute. So it is if other objects may be made.
        context = getattr(message_type, "context", None)
        self.at_context = hot_slot_offset(<PyObject *>context) if self.is_direct else -1

    def __dealloc__(self):
        cdef int index
        for index in range(REMEMBERED):
            Py_XDECREF(self.known[index])

    def learn(self, text, words, address, header_size, size, *, has_reply):
        pass  # each line is read anyway

    def deliver(self, bytes buffer not None, Py_ssize_t position):
        cdef const unsigned char *begin = <const unsigned char *>PyBytes_AS_STRING(buffer)
        cdef const unsigned char *end = begin + PyBytes_GET_SIZE(buffer)
        cdef const unsigned char *at
        cdef const unsigned char *before = NULL  # the last line, if it is likely to come again
        cdef Py_ssize_t repeated = 0  # its bytes
        cdef Line line
        cdef Known known = None
        cdef PyObject *found
        cdef PyObject *gate
        cdef object receive
        cdef object msg = None  # the last one, empty, if nobody has it
        self.position = position
        self.wanted = 0
        if not self.has_receivers:
            return
        while True:
            at = begin + self.position
            if repeated and end - at >= repeated and memcmp(at, before, repeated) == 0:
                line.payload = at + repeated
            else:
                if not self.read_line(at, end, &line):
                    return
                known = self.look_up(line.subject, line.sid)
                if known is None:
                    return
                before = at
                repeated = 0 if line.reply_to.size else line.payload - at
            if line.size + 2 > end - line.payload:
                self.wanted = line.payload - at + line.size + 2
                return
            if line.payload[line.size] != c"\r" or line.payload[line.size + 1] != c"\n":
                return
            found = PyDict_GetItemWithError(self.receivers, known.sid)
            if found == NULL:
                return
            receive = <object>found
            self.position = position = line.payload + line.size + 2 - begin
            msg = self.message(msg, known.address, &line)
            gate = hot_self_of(found, _deliver)
            if gate != NULL:
                (<Gate>gate).take(msg, known.subject, self.at_context)
            else:
                receive(msg)
            # Most routes keep no event. To use it again costs half as much as another one.
            if not hot_empty(<PyObject *>msg, <PyTypeObject *>self.message_type, self.slots, self.slot_count):
                msg = None
            self.position = position  # a receiver that reads, too, does not matter

    cdef inline bint read_line(self, const unsigned char *at, const unsigned char *end, Line *line) noexcept:
        """Read a control line. Whether it is that of a plain message."""
        cdef const unsigned char *limit = at + self.max_line
        cdef Word[5] words
        cdef int count = 0, has_headers
        if limit > end:
            limit = end
        if limit - at < 8:  # no line has fewer
            return False
        has_headers = at[0] == c"H"
        at += has_headers
        if at[0] != c"M" or at[1] != c"S" or at[2] != c"G" or at[3] != c" ":
            return False
        at += 4
        while True:
            words[count].start = at
            while at < limit and at[0] > 32:
                at += 1
            words[count].size = at - words[count].start
            count += 1
            if at + 1 >= limit or words[count - 1].size == 0:
                return False
            if at[0] == c" ":
                if count == 5:
                    return False
                at += 1
            elif at[0] == c"\r" and at[1] == c"\n":
                break
            else:
                return False
        if count - has_headers != 3 and count - has_headers != 4:
            return False
        line.subject = words[0]
        line.sid = words[1]
        line.reply_to = words[2]
        if count - has_headers == 3:
            line.reply_to.size = 0
        line.size = number(words[count - 1])
        line.header_size = number(words[count - 2]) if has_headers else 0
        line.payload = at + 2
        return (
            0 <= line.header_size <= line.size
            and line.size - line.header_size <= self.max_payload
            and line.header_size <= self.max_payload
        )

    cdef inline object message(self, object spare, object address, Line *line):
        """
        A message.

        :param spare: an empty one, or None.
        """
        data = PyBytes_FromStringAndSize(<const char *>line.payload + line.header_size, line.size - line.header_size)
        header_block = PyBytes_FromStringAndSize(<const char *>line.payload, line.header_size)
        reply_to = None
        if line.reply_to.size:
            reply_to = PyBytes_FromStringAndSize(<const char *>line.reply_to.start, line.reply_to.size)
        if not self.is_direct:
            return self.message_type(address, data, header_block, reply_to)
        msg = hot_alloc(<PyTypeObject *>self.message_type) if spare is None else spare
        hot_fill_slot(<PyObject *>msg, self.at_address, <PyObject *>address)
        hot_fill_slot(<PyObject *>msg, self.at_data, <PyObject *>data)
        hot_fill_slot(<PyObject *>msg, self.at_header_block, <PyObject *>header_block)
        hot_fill_slot(<PyObject *>msg, self.at_reply_to, <PyObject *>reply_to)
        return msg

    cdef inline Known look_up(self, Word subject, Word sid):
        """The address for a subject and a sid, which stand behind each other; None if the sid is no number."""
        cdef Py_ssize_t size = sid.start + sid.size - subject.start
        cdef uint64_t place = hash_of(subject.start, size) & (REMEMBERED - 1)
        cdef PyObject *first = self.known[place]
        cdef PyObject *second = self.known[place ^ 1]
        if is_known(first, subject.start, size):
            return <Known>first
        if is_known(second, subject.start, size):
            return <Known>second
        return self.new_address(subject, sid, size, &self.known[place if first == NULL or second != NULL else place ^ 1])

    cdef Known new_address(self, Word subject, Word sid, Py_ssize_t size, PyObject **slot):
        cdef Known known
        cdef Py_ssize_t value = number(sid)
        cdef PyObject *before
        if value < 0:
            return None
        known = Known.__new__(Known)
        known.subject = PyUnicode_DecodeUTF8(<const char *>subject.start, subject.size, "surrogateescape")
        known.sid = value
        if self.makes_addresses:
            known.address = hot_alloc(<PyTypeObject *>self.address_type)
            hot_fill_slot(<PyObject *>known.address, self.at_subject, <PyObject *>known.subject)
            hot_fill_slot(<PyObject *>known.address, self.at_sid, <PyObject *>known.sid)
        else:
            known.address = self.address_type(known.subject, known.sid)
        if size <= MAX_REMEMBERED:
            known.text = PyBytes_FromStringAndSize(<const char *>subject.start, size)
            before = slot[0]
            Py_INCREF(known)
            slot[0] = <PyObject *>known
            Py_XDECREF(before)
        return known


# -- from a message to the function of its route ----------------------------------------------------------------------

cdef class Counts:
    cdef public Py_ssize_t routed, succeeded

    def __init__(self, Py_ssize_t routed=0, Py_ssize_t succeeded=0):
        self.routed = routed
        self.succeeded = succeeded


cdef class Way:
    cdef object __weakref__
    cdef public object function, context
    cdef readonly Counts counters

    def __init__(self, function, Counts counters not None):
        self.function = function
        self.counters = counters
        self.context = None

    def returned(self, msg, result):
        raise NotImplementedError

    def raised(self, msg):
        raise NotImplementedError


cdef class Gate:
    cdef object __weakref__
    cdef public Py_ssize_t received
    cdef public bint is_direct, only_without_headers
    cdef public object on_msg
    cdef public dict ways

    def __init__(self, on_msg):
        self.received = 0
        self.is_direct = True
        self.on_msg = on_msg
        self.ways = {}
        self.only_without_headers = False

    def deliver(self, msg):
        self.take(msg, msg.address.subject, -1)

    def hand(self, msg):
        return self.pass_on(msg, msg.address.subject, -1)

    cdef int take(self, object msg, object subject, Py_ssize_t at_context) except -1:
        """:param at_context: where the message has its context; -1 if that is not known."""
        self.received += 1
        if not self.is_direct and self._took(msg):
            return 0
        busy = self.pass_on(msg, subject, at_context)
        if busy is not None:
            self._wait_for(busy)
        return 0

    cdef inline object pass_on(self, object msg, object subject, Py_ssize_t at_context):
        cdef PyObject *found
        cdef PyObject *returned
        cdef Way way
        cdef object function, result
        cdef bint has_headers = self.only_without_headers and bool(msg.header_block)
        found = PyDict_GetItemWithError(self.ways, subject)
        if found == NULL or has_headers:
            try:
                return self.on_msg(msg)
            except BaseException:
                self._receiver_raised(msg)
                return None
        way = <Way?>found
        function = way.function  # which may be replaced while it runs
        if at_context > 0:
            hot_set_slot(<PyObject *>msg, at_context, <PyObject *>way.context)
        else:
            msg.context = way.context
        way.counters.routed += 1
        returned = call_one(<PyObject *>function, <PyObject *>msg)
        if returned == <PyObject *>None:
            Py_DECREF(None)
            way.counters.succeeded += 1
            return None
        if returned == NULL:
            raised(way, msg)
            return None
        result = <object>returned
        Py_DECREF(result)
        return way.returned(msg, result)

    def _took(self, msg):
        raise NotImplementedError

    def _wait_for(self, busy):
        raise NotImplementedError

    def _receiver_raised(self, msg):
        raise NotImplementedError


cdef int raised(Way way, object msg) except -1:
    """Let a way handle the exception that is set. (A try around each call would cost each message.)"""
    try:
        hot_has_raised()
    except BaseException:
        way.raised(msg)
    return 0


cdef PyCFunction _deliver = hot_function_of(<PyObject *>Gate.__dict__["deliver"])


# -- from publish() to the commands that are written ------------------------------------------------------------------

cdef enum:
    SMALLEST_BLOCK = 4096  # bytes
    LARGEST_BLOCK = 1 << 20  # unless a command is larger


cdef class Tray:
    cdef public Py_ssize_t messages, batch_ends_at, high_water_messages, high_water_bytes, max_payload
    cdef Py_ssize_t held
    cdef public bint takes_headers, is_open
    cdef public list confirmations, commands
    # Commands are written one behind the other: that is one copy less, and no object for each.
    cdef PyObject *block  # bytes with space for more
    cdef Py_ssize_t used, usual  # bytes of it; and about those of the last one

    def __init__(self, Py_ssize_t high_water_messages, Py_ssize_t high_water_bytes):
        self.messages = self.held = 0
        self.batch_ends_at = self.high_water_messages = high_water_messages
        self.high_water_bytes = high_water_bytes
        self.max_payload = 0
        self.takes_headers = True
        self.is_open = False
        self.confirmations = []
        self.commands = []
        self.usual = SMALLEST_BLOCK

    def __dealloc__(self):
        Py_XDECREF(self.block)

    @property
    def bytes(self):
        return self.held

    @bytes.setter
    def bytes(self, Py_ssize_t value):
        self.held = value

    cdef char *space(self, Py_ssize_t size) noexcept:
        """Where the next command goes, which has so many bytes; NULL if there is no memory."""
        cdef Py_ssize_t least = self.usual
        if self.block != NULL:
            if size <= PyBytes_GET_SIZE(<object>self.block) - self.used:
                return PyBytes_AS_STRING(<object>self.block) + self.used
            least = min(2 * self.used, LARGEST_BLOCK)
            if self.append_block() < 0:
                PyErr_Clear()
                return NULL
        self.block = new_bytes(NULL, max(size, least))
        self.used = 0
        if self.block == NULL:
            PyErr_Clear()
            return NULL
        return PyBytes_AS_STRING(<object>self.block)

    cdef int append_block(self) noexcept:
        """Let the list have the block. If that fails, an exception is set."""
        if self.block != NULL:
            if hot_append_shortened(<PyObject *>self.commands, self.block, self.used) < 0:
                return -1
            self.block = NULL
            self.usual = min(max(self.used + self.used // 8, SMALLEST_BLOCK), LARGEST_BLOCK)
        return 0

    def close_block(self):
        if self.append_block() < 0:
            hot_has_raised()


cdef class Target:
    cdef bytes name
    cdef readonly Tray tray

    def __init__(self, bytes name not None, Tray tray not None):
        self.name = name
        self.tray = tray


cdef inline char *write(char *at, const void *text, Py_ssize_t size) noexcept nogil:
    memcpy(at, text, size)
    return at + size


cdef inline char *write_number(char *at, Py_ssize_t value) noexcept nogil:
    cdef char[24] digits
    cdef int index = 24
    while True:
        index -= 1
        digits[index] = 48 + value % 10
        value //= 10
        if value == 0:
            return write(at, digits + index, 24 - index)


cdef inline bint is_plain_subject(object subject) noexcept:
    """Whether it is certainly a subject to publish to: as natsroute.wire.subjects.is_plain()."""
    cdef Py_ssize_t index, size
    cdef const unsigned char *text
    cdef unsigned char one, before = c"."
    if not PyUnicode_CheckExact(subject) or not PyUnicode_IS_COMPACT_ASCII(subject):
        return False
    size = PyUnicode_GET_LENGTH(subject)
    if size == 0 or size > MAX_REMEMBERED:
        return False
    text = PyUnicode_1BYTE_DATA(subject)
    for index in range(size):
        one = text[index]
        if one <= 32 or one >= 127 or one == c"*" or one == c">" or (one == c"." and before == c"."):
            return False
        before = one
    return before != c"."


cdef inline bint is_printable(object text, bint is_name) noexcept:
    """Whether a name or a value of a header is certainly valid, and ASCII."""
    cdef Py_ssize_t index
    cdef const unsigned char *data
    if not PyUnicode_CheckExact(text) or not PyUnicode_IS_COMPACT_ASCII(text):
        return False
    data = PyUnicode_1BYTE_DATA(text)
    for index in range(PyUnicode_GET_LENGTH(text)):
        if data[index] < 32 or data[index] >= 127 or (is_name and (data[index] == 32 or data[index] == c":")):
            return False
    return not is_name or PyUnicode_GET_LENGTH(text) > 0


cdef Py_ssize_t header_block_size(object headers) noexcept:
    """Bytes of the header block for plain headers; -1 if they are not plain."""
    cdef Py_ssize_t position = 0, size = 12
    cdef PyObject *name
    cdef PyObject *value
    if not PyDict_CheckExact(headers):
        return -1
    if len(<dict>headers) == 0:
        return 0
    while PyDict_Next(headers, &position, &name, &value):
        if not is_printable(<object>name, True) or not is_printable(<object>value, False):
            return -1
        size += PyUnicode_GET_LENGTH(<object>name) + PyUnicode_GET_LENGTH(<object>value) + 4
    return size


cdef bint write_command(Tray tray, bytes name, bytes payload, object reply, object headers, Py_ssize_t block) noexcept:
    """
    Write a PUB or HPUB into the block of a tray, and count its bytes. Runs no code but ours.

    :param reply: a plain subject, or None.
    :param block: bytes of the header block, or 0.
    :return: whether there was space.
    """
    cdef Py_ssize_t size = PyBytes_GET_SIZE(payload), position = 0
    cdef Py_ssize_t whole, length
    cdef PyObject *key
    cdef PyObject *value
    cdef char[56] sizes
    cdef char *at = sizes
    if block:
        at = write_number(at, block)
        at = write(at, b" ", 1)
    at = write_number(at, block + size)
    at = write(at, b"\r\n", 2)
    length = at - sizes
    whole = 4 + (1 if block else 0) + PyBytes_GET_SIZE(name) + 1 + length + block + size + 2
    if reply is not None:
        whole += PyUnicode_GET_LENGTH(reply) + 1
    if tray.held + whole > tray.high_water_bytes:
        return False
    at = tray.space(whole)
    if at == NULL:
        return False
    at = write(at, b"HPUB ", 5) if block else write(at, b"PUB ", 4)
    at = write(at, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
    at = write(at, b" ", 1)
    if reply is not None:
        at = write(at, PyUnicode_1BYTE_DATA(reply), PyUnicode_GET_LENGTH(reply))
        at = write(at, b" ", 1)
    at = write(at, sizes, length)
    if block:
        at = write(at, b"NATS/1.0\r\n", 10)
        while PyDict_Next(headers, &position, &key, &value):
            at = write(at, PyUnicode_1BYTE_DATA(<object>key), PyUnicode_GET_LENGTH(<object>key))
            at = write(at, b": ", 2)
            at = write(at, PyUnicode_1BYTE_DATA(<object>value), PyUnicode_GET_LENGTH(<object>value))
            at = write(at, b"\r\n", 2)
        at = write(at, b"\r\n", 2)
    at = write(at, PyBytes_AS_STRING(payload), size)
    write(at, b"\r\n", 2)
    tray.used += whole
    tray.held += whole
    return True


cdef bint copy_command(Tray tray, bytes command) noexcept:
    """Copy a command into the block of a tray, and count its bytes: whether there was space."""
    cdef Py_ssize_t whole = PyBytes_GET_SIZE(command)
    cdef char *at
    if tray.held + whole > tray.high_water_bytes:
        return False
    at = tray.space(whole)
    if at == NULL:
        return False
    write(at, PyBytes_AS_STRING(command), whole)
    tray.used += whole
    tray.held += whole
    return True


cdef class Sender:
    cdef object __weakref__
    cdef readonly object confirmation_type
    cdef object _encode
    cdef public unsigned long plain_thread
    cdef readonly dict targets
    cdef bint makes_confirmations

    def __init__(self, confirmation_type, encode, encode_reply):  # plain reply subjects are written here
        self.confirmation_type = confirmation_type
        self._encode = encode
        self.plain_thread = 0
        self.targets = {}
        self.makes_confirmations = isinstance(confirmation_type, type) and hot_has_plain_init(
            <PyTypeObject *>confirmation_type
        )

    def _publish_any(self, subject, payload, reply=None, headers=None, **options):
        """publish() with arguments by name."""
        cdef object confirmation
        if PyBytes_CheckExact(payload) and PyUnicode_CheckExact(subject) and not options:
            confirmation = self.add(subject, <bytes>payload, reply, headers)
            if confirmation is not None:
                return confirmation
        return self._publish_other(subject, payload, reply, headers, options)

    cdef object add(self, object subject, bytes payload, object reply, object headers):
        """Add a message to the tray of its subject, and give its Deferred; None if it is not plain."""
        cdef PyObject *found = PyDict_GetItemWithError(self.targets, subject)
        cdef Target target
        cdef Tray tray
        cdef Py_ssize_t block = 0, size = PyBytes_GET_SIZE(payload)
        cdef bytes command = None
        if found == NULL or PyThread_get_thread_ident() != self.plain_thread:
            return None
        target = <Target?>found
        tray = target.tray
        if not tray.is_open or (headers is not None and not tray.takes_headers):
            return None
        if self.makes_confirmations:
            # Most routes keep no Deferred. That of the last message is then used again.
            confirmation = hot_alloc_or_take_last(<PyTypeObject *>self.confirmation_type, tray.confirmations)
        else:
            confirmation = self.confirmation_type()
        if headers is not None:
            block = header_block_size(headers)
        if block < 0 or (reply is not None and not is_plain_subject(reply)):
            try:
                command, size = self._encode(subject, payload, reply, headers)
            except Exception:
                return None
        else:
            size += block
        # What ran until here, and what the garbage collector has called, may be anything. From here on, nothing runs.
        if not tray.is_open or tray.messages >= tray.batch_ends_at or size > tray.max_payload:
            return None
        PyList_Append(tray.confirmations, confirmation)
        if not (
            write_command(tray, target.name, payload, reply, headers, block)
            if command is None
            else copy_command(tray, command)
        ):
            tray.confirmations.pop()
            return None
        tray.messages += 1
        return confirmation

    def _publish_other(self, subject, payload, reply, headers, options):
        raise NotImplementedError


cdef PyObject *sender_publish(PyObject *self, PyObject **args, Py_ssize_t count, PyObject *names) except NULL:
    """Sender.publish(subject, payload, reply=None, headers=None, **options)"""
    cdef Sender sender = <Sender>self
    cdef object confirmation, other, subject, payload, reply, headers
    cdef PyObject *none = <PyObject *>None
    if names != NULL or count < 2 or count > 4:
        other = sender._publish_any
        return PyObject_Vectorcall(<PyObject *>other, args, count, names)
    subject, payload = <object>args[0], <object>args[1]
    reply, headers = <object>(args[2] if count > 2 else none), <object>(args[3] if count > 3 else none)
    confirmation = None
    if PyBytes_CheckExact(payload) and PyUnicode_CheckExact(subject):
        confirmation = sender.add(subject, <bytes>payload, reply, headers)
    if confirmation is None:
        confirmation = sender._publish_other(subject, payload, reply, headers, {})
    Py_INCREF(confirmation)
    return <PyObject *>confirmation


cdef PyObject *event_publish(PyObject *event, PyObject **args, Py_ssize_t count, PyObject *names) except NULL:
    """Event.publish(): the context of the event publishes."""
    cdef object publish = (<object>event).context.publish
    cdef PyObject *sender = hot_self_of(<PyObject *>publish, _sender_publish)
    if sender != NULL:
        return sender_publish(sender, args, count, names)
    return PyObject_Vectorcall(<PyObject *>publish, args, count, names)


cdef PyMethodDef sender_method, event_method
cdef list _docs = []
cdef const char *sender_doc = (
    b"publish($self, subject, payload, reply=None, headers=None, **options)\n--\n\n"
    b"See natsroute.publishing.outlet.Outlet.publish()."
)
_method = hot_new_method(<PyTypeObject *>Sender, &sender_method, <void *>sender_publish, sender_doc)
hot_replace(<PyTypeObject *>Sender, b"publish", <PyObject *>_method)
cdef PyCFunction _sender_publish = hot_function_of(<PyObject *>_method)
del _method


def shorten_publish(event_type):
    event_doc = (
        b"publish($self, subject, payload, reply=None, headers=None, **options)\n--\n\n"
        + (event_type.publish.__doc__ or "").encode()
    )
    _docs.append(event_doc)  # which the method points to
    method = hot_new_method(<PyTypeObject *>event_type, &event_method, <void *>event_publish, event_doc)
    event_type.publish = event_type.nats_publish = method


# -- confirming --------------------------------------------------------------------------------------------------------

def confirm_all(confirmations):
    for confirmation in confirmations:
        if confirmation is None:
            continue
        if confirmation.has_callbacks:
            if not confirmation.called:
                confirmation.callback(None)
        else:
            confirmation.called = True
            confirmation.result = None


def drop_abandoned(list confirmations not None):
    cdef Py_ssize_t index = -1
    cdef PyObject *confirmation
    while index + 1 < PyList_GET_SIZE(confirmations):  # dropping one may run any code
        index += 1
        confirmation = PyList_GET_ITEM(confirmations, index)
        if confirmation != <PyObject *>None and Py_REFCNT(confirmation) == 1 and not has_callbacks(confirmation):
            Py_INCREF(None)
            PyList_SetItem(confirmations, index, <PyObject *>None)


cdef object _has_callbacks = "has_callbacks"


cdef bint has_callbacks(PyObject *confirmation) except -1:
    # Not by the class's own __getattr__, which would be asked first.
    return PyObject_GenericGetAttr(confirmation, <PyObject *>_has_callbacks) is not False
