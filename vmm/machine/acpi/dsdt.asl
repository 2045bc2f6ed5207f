// The machine as an operating system learns of it beyond PCI and the fixed tables. Addresses repeat those of
// vmm/machine/layout.h; a unit test holds the two together. M64B and M64L, the base and length of the 64-bit PCI
// window, depend on the RAM: acpi/tables.cpp overwrites their values.
DefinitionBlock ("dsdt.aml", "DSDT", 2, "EXOOS ", "EXOVMM  ", 1)
{
    // Soft-off is sleep type 0 of the PIIX4. There is no other sleep state.
    Name (\_S5, Package () { 0, 0, 0, 0 })

    Scope (\_SB)
    {
        Name (M64B, 0x1122334455667788)
        Name (M64L, 0x1122334455667788)

        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_BBN, 0)
            Name (_SEG, 0)

            Name (RES, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
                IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
                // The power management ports of 00:01.3, which lie outside the window for BARs.
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0xB000, 0xB03F, 0, 0x0040)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0xC000, 0xFFFF, 0, 0x4000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0x80000000, 0xFBFFFFFF, 0, 0x7C000000)
            })
            Name (RESH, ResourceTemplate ()
            {
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0x100000000, 0x1FFFFFFFF, 0, 0x100000000, , , W64)
            })

            Method (_CRS, 0, Serialized)
            {
                If (M64L == 0)
                {
                    Return (RES)
                }
                CreateQWordField (RESH, ^W64._MIN, MINW)
                CreateQWordField (RESH, ^W64._MAX, MAXW)
                CreateQWordField (RESH, ^W64._LEN, LENW)
                MINW = M64B
                MAXW = M64B + M64L - 1
                LENW = M64L
                Return (ConcatenateResTemplate (RES, RESH))
            }

            // Pins go to the IOAPIC's inputs 16 to 19, turned by one from slot to slot. There is no routing for the
            // 8259s: this machine's devices interrupt by MSI-X.
            Method (_PRT, 0, NotSerialized)
            {
                Local0 = Package (128) {}
                Local1 = 0
                While (Local1 < 128)
                {
                    Local2 = Local1 >> 2
                    Local3 = Package (4) {}
                    Local3 [0] = (Local2 << 16) | 0xFFFF
                    Local3 [1] = Local1 & 3
                    Local3 [2] = 0
                    Local3 [3] = 16 + ((Local2 + Local1) & 3)
                    Local0 [Local1] = Local3
                    Local1++
                }
                Return (Local0)
            }

            Device (ISA)
            {
                Name (_ADR, 0x00010000)

                Device (COM1)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 1)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x03F8, 0x03F8, 1, 8)
                        IRQNoFlags () { 4 }
                    })
                }

                // Without an interrupt: the clock has none to give.
                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0070, 0x0070, 1, 2)
                    })
                }

                Device (PIC)
                {
                    Name (_HID, EisaId ("PNP0000"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0020, 0x0020, 1, 2)
                        IO (Decode16, 0x00A0, 0x00A0, 1, 2)
                        IO (Decode16, 0x04D0, 0x04D0, 1, 2)
                        IRQNoFlags () { 2 }
                    })
                }

                Device (TIMR)
                {
                    Name (_HID, EisaId ("PNP0100"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0040, 0x0040, 1, 4)
                        IO (Decode16, 0x0061, 0x0061, 1, 1)
                        IRQNoFlags () { 0 }
                    })
                }

                // What belongs to the machine and to no driver: system control, debug log, exit and boot phase,
                // CPU hot-plug, power management, and the pages that KVM keeps on Intel hosts.
                Device (SYSR)
                {
                    Name (_HID, EisaId ("PNP0C02"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0092, 0x0092, 1, 1)
                        IO (Decode16, 0x0402, 0x0402, 1, 1)
                        IO (Decode16, 0x0600, 0x0600, 1, 3)
                        IO (Decode16, 0xAF00, 0xAF00, 1, 12)
                        IO (Decode16, 0xB000, 0xB000, 1, 64)
                        Memory32Fixed (ReadWrite, 0xFEFFC000, 0x4000)
                    })
                }
            }
        }

        // QEMU's firmware configuration device, as its Linux driver finds it; not for other operating systems.
        Device (FWCF)
        {
            Name (_HID, "QEMU0002")
            Name (_STA, 0x0B)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0510, 0x0510, 1, 12)
            })
        }
    }
}
