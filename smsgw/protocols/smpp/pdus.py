"""SMPP 3.4 PDUs, declared once: the tables of SMPP 3.4 section 4 as classes.

Names are the specification's. Lengths are derived, never attributes. Optional parameters stay
tags and octets; :mod:`smsgw.protocols.smpp.tlv` knows what they mean.

A refusing answer has no body (4.4.2 and alike), and some peers leave it out of good answers too:
the classes ``...Bare`` have the header alone, and say as class attributes what the body would.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from smsgw.protocols.kinds import (
    U8,
    U32,
    Choice,
    CNumber,
    CSecret,
    CText,
    Listed,
    Record,
    Sized,
    Tlv,
    Tlvs,
)
from smsgw.protocols.layout import Pdu, pdu

Int8 = Annotated[int, U8]
Int32 = Annotated[int, U32]
SystemId = Annotated[str, CText(16)]
Password = Annotated[str, CSecret(65)]  # 9 in 5.2.2; some SMSCs give out longer ones
ServiceType = Annotated[str, CText(6)]
Address = Annotated[str, CNumber(21)]
LongAddress = Annotated[str, CNumber(65)]
MessageId = Annotated[str, CNumber(65)]
Time = Annotated[str, CText(17)]
Content = Annotated[bytes, Sized("sm_length", U8)]
Options = Annotated[list[Tlv], Tlvs()]


class SmppPdu(Pdu):
    """What every SMPP PDU starts with, behind its length and id (3.2)."""

    command_status: Int32 = 0
    sequence_number: Int32 = 0


class Bind(SmppPdu):
    """What the three logins have in common (4.1)."""

    system_id: SystemId = ""
    password: Password = ""
    system_type: Annotated[str, CText(13)] = ""
    interface_version: Int8 = 0x34
    addr_ton: Int8 = 0
    addr_npi: Int8 = 0
    address_range: Annotated[str, CText(41)] = ""


class BindResp(SmppPdu):
    """What their answers have in common (4.1)."""

    system_id: SystemId = ""
    tlvs: Options = []


class BindRespBare(SmppPdu):
    """A login answer without its body."""

    system_id: ClassVar[str] = ""
    tlvs: ClassVar[tuple[Tlv, ...]] = ()


class IdRespBare(SmppPdu):
    """An answer to a message without its body."""

    message_id: ClassVar[str] = ""
    tlvs: ClassVar[tuple[Tlv, ...]] = ()


@pdu(0x80000000, "generic_nack")
class GenericNack(SmppPdu):
    """The answer to what cannot be read (4.3)."""


@pdu(0x00000001, "bind_receiver")
class BindReceiver(Bind):
    """Login of an ESME that only receives (4.1.3)."""


@pdu(0x80000001, "bind_receiver_resp")
class BindReceiverResp(BindResp):
    """Its answer (4.1.4)."""


@pdu(0x80000001, "bind_receiver_resp")
class BindReceiverRespBare(BindRespBare):
    """Its answer without a body."""


@pdu(0x00000002, "bind_transmitter")
class BindTransmitter(Bind):
    """Login of an ESME that only sends (4.1.1)."""


@pdu(0x80000002, "bind_transmitter_resp")
class BindTransmitterResp(BindResp):
    """Its answer (4.1.2)."""


@pdu(0x80000002, "bind_transmitter_resp")
class BindTransmitterRespBare(BindRespBare):
    """Its answer without a body."""


@pdu(0x00000009, "bind_transceiver")
class BindTransceiver(Bind):
    """Login of an ESME that does both (4.1.5)."""


@pdu(0x80000009, "bind_transceiver_resp")
class BindTransceiverResp(BindResp):
    """Its answer (4.1.6)."""


@pdu(0x80000009, "bind_transceiver_resp")
class BindTransceiverRespBare(BindRespBare):
    """Its answer without a body."""


@pdu(0x0000000B, "outbind")
class Outbind(SmppPdu):
    """An SMSC asks an ESME to bind as a receiver (4.1.7)."""

    system_id: SystemId = ""
    password: Password = ""


@pdu(0x00000006, "unbind")
class Unbind(SmppPdu):
    """End of a session (4.2.1)."""


@pdu(0x80000006, "unbind_resp")
class UnbindResp(SmppPdu):
    """Its answer (4.2.2)."""


@pdu(0x00000015, "enquire_link")
class EnquireLink(SmppPdu):
    """Heartbeat (4.11.1)."""


@pdu(0x80000015, "enquire_link_resp")
class EnquireLinkResp(SmppPdu):
    """Its answer (4.11.2)."""


class Message(SmppPdu):
    """What submit_sm and deliver_sm have in common: everything (4.4.1, 4.6.1)."""

    service_type: ServiceType = ""
    source_addr_ton: Int8 = 0
    source_addr_npi: Int8 = 0
    source_addr: Address = ""
    dest_addr_ton: Int8 = 0
    dest_addr_npi: Int8 = 0
    destination_addr: Address = ""
    esm_class: Int8 = 0
    protocol_id: Int8 = 0
    priority_flag: Int8 = 0
    schedule_delivery_time: Time = ""
    validity_period: Time = ""
    registered_delivery: Int8 = 0
    replace_if_present_flag: Int8 = 0
    data_coding: Int8 = 0
    sm_default_msg_id: Int8 = 0
    short_message: Content = b""
    tlvs: Options = []


@pdu(0x00000004, "submit_sm")
class SubmitSm(Message):
    """MT (4.4.1)."""


@pdu(0x80000004, "submit_sm_resp")
class SubmitSmResp(SmppPdu):
    """Its answer (4.4.2); optional parameters are later versions', and sent all the same."""

    message_id: MessageId = ""
    tlvs: Options = []


@pdu(0x80000004, "submit_sm_resp")
class SubmitSmRespBare(IdRespBare):
    """Its answer without a body."""


class SmeAddress(msgspec.Struct, gc=False):
    """One recipient of a submit_multi (4.5.1.1): dest_flag 1."""

    dest_addr_ton: Int8 = 0
    dest_addr_npi: Int8 = 0
    destination_addr: Address = ""


class DistributionList(msgspec.Struct, gc=False):
    """A list of recipients that the SMSC keeps (4.5.1.2): dest_flag 2."""

    dl_name: Annotated[str, CText(21)] = ""


class UnsuccessSme(msgspec.Struct, gc=False):
    """A recipient whom the SMSC does not take, and why (4.5.2.1)."""

    dest_addr_ton: Int8 = 0
    dest_addr_npi: Int8 = 0
    destination_addr: Address = ""
    error_status_code: Int32 = 0


DESTINATION = Choice("dest_flag", {1: Record(SmeAddress), 2: Record(DistributionList)})


@pdu(0x00000021, "submit_multi")
class SubmitMulti(SmppPdu):
    """MT to several recipients (4.5.1)."""

    service_type: ServiceType = ""
    source_addr_ton: Int8 = 0
    source_addr_npi: Int8 = 0
    source_addr: Address = ""
    dest_address: Annotated[
        list[SmeAddress | DistributionList], Listed("number_of_dests", U8, DESTINATION)
    ] = []
    esm_class: Int8 = 0
    protocol_id: Int8 = 0
    priority_flag: Int8 = 0
    schedule_delivery_time: Time = ""
    validity_period: Time = ""
    registered_delivery: Int8 = 0
    replace_if_present_flag: Int8 = 0
    data_coding: Int8 = 0
    sm_default_msg_id: Int8 = 0
    short_message: Content = b""
    tlvs: Options = []


@pdu(0x80000021, "submit_multi_resp")
class SubmitMultiResp(SmppPdu):
    """Its answer (4.5.2)."""

    message_id: MessageId = ""
    unsuccess_sme: Annotated[
        list[UnsuccessSme], Listed("no_unsuccess", U8, Record(UnsuccessSme))
    ] = []
    tlvs: Options = []


@pdu(0x80000021, "submit_multi_resp")
class SubmitMultiRespBare(IdRespBare):
    """Its answer without a body."""

    unsuccess_sme: ClassVar[tuple[UnsuccessSme, ...]] = ()


@pdu(0x00000005, "deliver_sm")
class DeliverSm(Message):
    """MO or receipt (4.6.1)."""


@pdu(0x80000005, "deliver_sm_resp")
class DeliverSmResp(SmppPdu):
    """Its answer (4.6.2): message_id is unused."""

    message_id: MessageId = ""
    tlvs: Options = []


@pdu(0x80000005, "deliver_sm_resp")
class DeliverSmRespBare(IdRespBare):
    """Its answer without a body."""


@pdu(0x00000103, "data_sm")
class DataSm(SmppPdu):
    """A message either way whose content is the TLV message_payload (4.7.1)."""

    short_message: ClassVar[bytes] = b""

    service_type: ServiceType = ""
    source_addr_ton: Int8 = 0
    source_addr_npi: Int8 = 0
    source_addr: LongAddress = ""
    dest_addr_ton: Int8 = 0
    dest_addr_npi: Int8 = 0
    destination_addr: LongAddress = ""
    esm_class: Int8 = 0
    registered_delivery: Int8 = 0
    data_coding: Int8 = 0
    tlvs: Options = []


@pdu(0x80000103, "data_sm_resp")
class DataSmResp(SmppPdu):
    """Its answer (4.7.2)."""

    message_id: MessageId = ""
    tlvs: Options = []


@pdu(0x80000103, "data_sm_resp")
class DataSmRespBare(IdRespBare):
    """Its answer without a body."""


@pdu(0x00000003, "query_sm")
class QuerySm(SmppPdu):
    """What has become of a message? (4.8.1)."""

    message_id: MessageId = ""
    source_addr_ton: Int8 = 0
    source_addr_npi: Int8 = 0
    source_addr: Address = ""


@pdu(0x80000003, "query_sm_resp")
class QuerySmResp(SmppPdu):
    """Its answer (4.8.2)."""

    message_id: MessageId = ""
    final_date: Time = ""
    message_state: Int8 = 0
    error_code: Int8 = 0


@pdu(0x80000003, "query_sm_resp")
class QuerySmRespBare(SmppPdu):
    """Its answer without a body."""


@pdu(0x00000008, "cancel_sm")
class CancelSm(SmppPdu):
    """Take a message back (4.9.1)."""

    service_type: ServiceType = ""
    message_id: MessageId = ""
    source_addr_ton: Int8 = 0
    source_addr_npi: Int8 = 0
    source_addr: Address = ""
    dest_addr_ton: Int8 = 0
    dest_addr_npi: Int8 = 0
    destination_addr: Address = ""


@pdu(0x80000008, "cancel_sm_resp")
class CancelSmResp(SmppPdu):
    """Its answer (4.9.2)."""


@pdu(0x00000007, "replace_sm")
class ReplaceSm(SmppPdu):
    """Put another text in a message's place (4.10.1)."""

    message_id: MessageId = ""
    source_addr_ton: Int8 = 0
    source_addr_npi: Int8 = 0
    source_addr: Address = ""
    schedule_delivery_time: Time = ""
    validity_period: Time = ""
    registered_delivery: Int8 = 0
    sm_default_msg_id: Int8 = 0
    short_message: Content = b""


@pdu(0x80000007, "replace_sm_resp")
class ReplaceSmResp(SmppPdu):
    """Its answer (4.10.2)."""


@pdu(0x00000102, "alert_notification")
class AlertNotification(SmppPdu):
    """A phone can be reached again (4.12.1); it has no answer."""

    source_addr_ton: Int8 = 0
    source_addr_npi: Int8 = 0
    source_addr: LongAddress = ""
    esme_addr_ton: Int8 = 0
    esme_addr_npi: Int8 = 0
    esme_addr: LongAddress = ""
    tlvs: Options = []
